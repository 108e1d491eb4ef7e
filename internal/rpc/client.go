package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
)

// Options configure a Client. All are required.
type Options struct {
	// FailoverExpiry bounds how long a command without a reply (a failover, a change of
	// log levels) may wait in a queue.
	FailoverExpiry time.Duration
	Log            *slog.Logger
}

// Client sends commands to services, on behalf of the caller in the context. It waits
// for replies until the context's deadline or, without one, for the oslo client's
// response timeout. It is safe for concurrent use.
//
// Unless documented otherwise, its methods fail with KindUndeliverable when nobody
// listens, KindUnavailable when the bus is away, KindTimeout when no reply came,
// KindRemote with the exception's message when the service raised one, and
// KindNotSupported when the service does not know the command.
type Client struct {
	bus   *oslo.Client
	o     Options
	known announcements
}

// New returns a client.
func New(bus *oslo.Client, o Options) *Client {
	return &Client{bus: bus, o: o, known: announcements{latest: map[string]map[string]announcement{}}}
}

// Freeze asks the service, or any member of its cluster, to freeze its backend, and
// waits for the reply. KindConflict, with the backend's message, when the backend
// refuses.
func (c *Client) Freeze(ctx context.Context, s cinder.Service) error {
	return c.command(ctx, s, methodFreeze)
}

// Thaw undoes Freeze.
func (c *Client) Thaw(ctx context.Context, s cinder.Service) error {
	return c.command(ctx, s, methodThaw)
}

// command is a call that the backend may refuse: any result but true is a refusal
// (doc/cinder/wire.md#replies).
func (c *Client) command(ctx context.Context, s cinder.Service, method string) error {
	result, detail, err := c.bus.Call(ctx, volume(s, s.QueueHost()), method, "3.0", noArgs{})
	switch {
	case err != nil:
		return err
	case bytes.Equal(result, []byte("true")):
		return nil
	case detail == "":
		detail = "Backend reported error during " + method + " operation."
	}
	return &cinder.Error{Kind: cinder.KindConflict, Msg: detail}
}

// Failover asks the service, or any member of its cluster, to fail over to a site; with
// nil the backend chooses. It returns when the command is delivered.
func (c *Client) Failover(ctx context.Context, s cinder.Service, target *string) error {
	method, version := methodFailover, "3.8"
	if older(s.RPCVersion, version) {
		method, version = methodFailoverHost, "3.0"
	}
	return c.bus.Cast(ctx, volume(s, s.QueueHost()), method, version, failoverArgs{target}, c.o.FailoverExpiry)
}

// Listening reports whether anybody consumes the queue for the commands of a volume
// service or its cluster. KindUnavailable when the bus is away.
func (c *Client) Listening(ctx context.Context, s cinder.Service) (bool, error) {
	return c.bus.Listening(ctx, volume(s, s.QueueHost()))
}

// volume is the destination of a volume service's commands: the queue of its host or
// cluster. Before 3.6 services listened only on that of the shared topic
// (doc/cinder/wire.md#pins).
func volume(s cinder.Service, host string) oslo.Destination {
	if older(s.RPCVersion, "3.6") {
		return oslo.ToServer(topicVolume, host)
	}
	return oslo.ToServer(topicVolume+"."+host, server(host))
}

// Queues returns the queues for the service's commands: its own and, for a member of a
// cluster, the cluster's; none for a binary without commands.
func Queues(s cinder.Service) []oslo.Destination {
	switch s.Binary {
	case cinder.BinaryVolume:
		own := []oslo.Destination{volume(s, s.Host)}
		if s.Cluster != "" {
			own = append(own, volume(s, s.Cluster))
		}
		return own
	case cinder.BinaryScheduler:
		return []oslo.Destination{oslo.ToServer(topicScheduler, s.Host)}
	case cinder.BinaryBackup:
		return []oslo.Destination{oslo.ToServer(topicBackup, s.Host)}
	default:
		return nil
	}
}

// Pools returns the pools that a scheduler knows, of the backends in use.
func (c *Client) Pools(ctx context.Context) ([]cinder.Pool, error) {
	raw, err := c.bus.Ask(ctx, oslo.ToAny(topicScheduler), methodGetPools, "3.0", poolsArgs{})
	if err != nil {
		return nil, err
	}
	var pools []pool
	if err := json.Unmarshal(raw, &pools); err != nil {
		return nil, unreadable(err)
	}
	found := make([]cinder.Pool, 0, len(pools))
	for _, p := range pools {
		state, _ := p.Capabilities["backend_state"].(string)
		found = append(found, cinder.Pool{Name: p.Name, BackendState: state})
	}
	return found, nil
}

// LogLevels returns the level of each of the service's loggers with that prefix.
func (c *Client) LogLevels(ctx context.Context, s cinder.Service, prefix string) (map[string]cinder.LogLevel, error) {
	to, version, err := logs(s, methodGetLogLevels)
	if err != nil {
		return nil, err
	}
	raw, err := c.bus.Ask(ctx, to, methodGetLogLevels, version, logArgs{&oslo.LogLevel{Prefix: prefix}})
	if err != nil {
		return nil, err
	}
	var levels oslo.LogLevels
	if err := json.Unmarshal(raw, &levels); err != nil {
		return nil, unreadable(err)
	}
	return levels, nil
}

// SetLogLevel sets the level of the loggers with that prefix. It returns when the
// command is delivered.
func (c *Client) SetLogLevel(ctx context.Context, s cinder.Service, prefix string, level cinder.LogLevel) error {
	to, version, err := logs(s, methodSetLogLevels)
	if err != nil {
		return err
	}
	args := logArgs{&oslo.LogLevel{Prefix: prefix, Level: string(level)}}
	return c.bus.Cast(ctx, to, methodSetLogLevels, version, args, c.o.FailoverExpiry)
}

// logs is the destination and version of a log method, which always goes to the host.
// For a service that is too old it fails with KindNotSupported and Cinder's message
// (live.json, pinned/get-log).
func logs(s cinder.Service, method string) (to oslo.Destination, version string, err error) {
	switch s.Binary {
	case cinder.BinaryVolume:
		to, version = volume(s, s.Host), "3.12"
	case cinder.BinaryScheduler:
		to, version = oslo.ToServer(topicScheduler, s.Host), "3.7"
	case cinder.BinaryBackup:
		to, version = oslo.ToServer(topicBackup, s.Host), "2.1"
	default:
		return to, "", cinder.Errorf(cinder.KindInvalid, "Services of %s have no log levels.", s.Binary)
	}
	if older(s.RPCVersion, version) {
		return to, "", cinder.Errorf(cinder.KindNotSupported,
			"One of %s services is too old to accept %s request. Required RPC API version is %s. Are you running mixed versions of %ss?",
			s.Binary, method, version, s.Binary)
	}
	return to, version, nil
}

func unreadable(err error) error {
	return cinder.Wrap(cinder.KindRemote, err, "The service sent an answer that cannot be read.")
}
