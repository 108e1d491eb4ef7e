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

// Options are what a Client is made of. All are required.
type Options struct {
	// FailoverExpiry is how long a command that nobody answers (a failover, a
	// change of log levels) may wait in a queue.
	FailoverExpiry time.Duration
	Log            *slog.Logger
}

// Client sends commands to services and takes the caller from the context. How
// long it waits for answers is the context's affair or, when that has no
// deadline, the oslo client's. It is safe for concurrent use.
//
// Unless they say otherwise, its methods fail with KindUndeliverable when nobody
// listens, KindUnavailable when the bus is away, KindTimeout when no answer came,
// KindRemote with the exception's message when the service raised one, and
// KindNotSupported when the service does not know the command.
type Client struct {
	bus   *oslo.Client
	o     Options
	known announcements
}

// New makes a client on top of one that knows the wire.
func New(bus *oslo.Client, o Options) *Client {
	return &Client{bus: bus, o: o, known: announcements{latest: map[string]map[string]announcement{}}}
}

// Freeze asks the service, or any member of its cluster, to freeze its backend
// and waits for the answer. Refused by the backend: KindConflict, with its words.
func (c *Client) Freeze(ctx context.Context, s cinder.Service) error {
	return c.command(ctx, s, methodFreeze)
}

// Thaw is Freeze's opposite.
func (c *Client) Thaw(ctx context.Context, s cinder.Service) error {
	return c.command(ctx, s, methodThaw)
}

// command is a call that the backend may refuse: any result but true is a
// refusal (doc/cinder/wire.md#replies).
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

// Failover sends the service, or any member of its cluster, to another site; nil
// lets the backend choose. It returns when the command is delivered.
func (c *Client) Failover(ctx context.Context, s cinder.Service, target *string) error {
	method, version := methodFailover, "3.8"
	if older(s.RPCVersion, version) {
		method, version = methodFailoverHost, "3.0"
	}
	return c.bus.Cast(ctx, volume(s, s.QueueHost()), method, version, failoverArgs{target}, c.o.FailoverExpiry)
}

// Listening says whether anybody consumes the queue that the commands of a volume
// service, or of its cluster, go to. KindUnavailable when the bus is away.
func (c *Client) Listening(ctx context.Context, s cinder.Service) (bool, error) {
	return c.bus.Listening(ctx, volume(s, s.QueueHost()))
}

// volume is where the commands of a volume service go: to the queue of its host
// or cluster. Before 3.6 services listened on that of the shared topic alone
// (doc/cinder/wire.md#pins).
func volume(s cinder.Service, host string) oslo.Destination {
	if older(s.RPCVersion, "3.6") {
		return oslo.ToServer(topicVolume, host)
	}
	return oslo.ToServer(topicVolume+"."+host, server(host))
}

// Queues are those that commands for the service go to: its own and, of a member
// of a cluster, the cluster's. Of a binary that takes none there are none.
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

// Pools are what a scheduler knows of the backends that serve.
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

// LogLevels returns the level of every logger of the service whose name starts
// with prefix.
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

// SetLogLevel sets the level of those loggers. It returns when the command is delivered.
func (c *Client) SetLogLevel(ctx context.Context, s cinder.Service, prefix string, level cinder.LogLevel) error {
	to, version, err := logs(s, methodSetLogLevels)
	if err != nil {
		return err
	}
	args := logArgs{&oslo.LogLevel{Prefix: prefix, Level: string(level)}}
	return c.bus.Cast(ctx, to, methodSetLogLevels, version, args, c.o.FailoverExpiry)
}

// logs is where the log methods of a service go, always by host, and in which
// version. A service that is too old for them is KindNotSupported, in the words
// that users of Cinder know (live.json, pinned/get-log).
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
