package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/cli/format"
	"stoker/internal/client"
	"stoker/internal/keystone"
)

// defaultEndpoint is where stoker standalone listens.
const defaultEndpoint = "http://127.0.0.1:8776/v3"

// loginTimeout is how long Keystone may take to answer a login.
const loginTimeout = 30 * time.Second

// clientFlags are those of every command that calls the API.
type clientFlags struct {
	OSCloud        string        `group:"api" name:"os-cloud" placeholder:"NAME" default:"${cloud}" help:"The cloud of clouds.yaml to log in to (OS_CLOUD sets it; without one, the variables of an openrc file, OS_AUTH_URL and so on, say who logs in where)."`
	Endpoint       string        `group:"api" placeholder:"URL" default:"${endpoint}" help:"Where the API is (default: what the cloud's catalog says, or ${local}; STOKER_ENDPOINT sets it)."`
	Project        string        `group:"api" placeholder:"ID" default:"${project}" help:"The project to act as admin of where nobody logs in (STOKER_PROJECT sets it)."`
	RequestTimeout time.Duration `group:"api" placeholder:"TIME" default:"2m" help:"How long to wait for an answer (default: 2m)."`
	Output         string        `group:"api" short:"o" placeholder:"FORM" enum:"table,json,yaml" default:"table" help:"The form of the output: table, json or yaml (default: table)."`
}

// call runs f with a client of the API.
func (f clientFlags) call(ctx context.Context, p Process, do func(c *client.Client) error) error {
	if f.RequestTimeout <= 0 {
		return usageError{"--request-timeout must be more than 0"}
	}
	o := client.Options{Endpoint: cmp.Or(f.Endpoint, defaultEndpoint), Project: f.Project, Timeout: f.RequestTimeout, Transport: p.Transport}
	if f.OSCloud != "" || p.env("OS_AUTH_URL") != "" {
		login := keystone.LoginOptions{Cloud: f.OSCloud, Env: p.env, Timeout: loginTimeout, Transport: p.Transport}
		ticket, err := keystone.Login(ctx, login)
		if err != nil {
			return inWords(err, false)
		}
		o.Endpoint, o.Token, o.Project, o.Transport = cmp.Or(f.Endpoint, ticket.Endpoint), ticket.Token, "", ticket.Transport
		o.Renew = func(ctx context.Context) (string, error) {
			renewed, err := keystone.Login(ctx, login)
			return renewed.Token, err
		}
	}
	c, err := client.New(o)
	if err != nil {
		return usageError{cinder.Message(err)}
	}
	defer c.Close()
	return inWords(do(c), o.Endpoint == defaultEndpoint)
}

// inWords is err for the operator: the server's, or why there are none.
// local is where stoker standalone would be.
func inWords(err error, local bool) error {
	e, ok := errors.AsType[*cinder.Error](err)
	switch {
	case !ok || errors.Is(err, context.Canceled):
		return err
	case e.Kind == cinder.KindUnavailable && e.Err != nil && local:
		return fmt.Errorf("%s (stoker standalone starts one; --endpoint names another)", e.Msg)
	case e.Kind == cinder.KindUnavailable && e.Err != nil:
		return fmt.Errorf("%s: %w", e.Msg, e.Err)
	default:
		return errors.New(e.Msg)
	}
}

// print writes what a command found out.
func (f clientFlags) print(p Process, v any, t format.Table) error {
	return format.Write(p.Stdout, f.Output, v, t)
}

// printChange writes what a change did, with the id of its operation when the
// server keeps a journal.
func (f clientFlags) printChange(p Process, r format.Record, c client.Change) error {
	r = withOperation(r, c)
	return f.print(p, r, r.Table())
}

func withOperation(r format.Record, c client.Change) format.Record {
	if c.Operation == "" {
		return r
	}
	return append(r, format.Field{Name: "operation", Value: c.Operation})
}

// target is a host or a cluster on the command line.
type target struct {
	Host    string `arg:"" optional:"" help:"The volume service: HOST@BACKEND."`
	Cluster string `placeholder:"NAME" help:"A whole cluster, CLUSTER@BACKEND, in place of a host."`
}

// target is what the API is to be told. Exactly one of the two must be named.
func (t target) target() (client.Target, error) {
	if (t.Host == "") == (t.Cluster == "") {
		return client.Target{}, usageError{"name either a host or, with --cluster, a cluster"}
	}
	return client.Target(t), nil
}

// record starts the record of a change.
func (t target) record() format.Record {
	if t.Cluster != "" {
		return format.Record{{Name: "cluster", Value: t.Cluster}}
	}
	return format.Record{{Name: "host", Value: t.Host}}
}

// String is the name of whichever it is.
func (t target) String() string {
	if t.Cluster != "" {
		return "cluster " + t.Cluster
	}
	return t.Host
}

// service is a service on the command line.
type service struct {
	Host   string `arg:"" help:"The host of the service: HOST, or HOST@BACKEND of a volume service."`
	Binary string `arg:"" optional:"" default:"cinder-volume" help:"Which service on the host: cinder-volume (the default), cinder-backup or cinder-scheduler."`
}
