package control

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"stoker/internal/cinder"
	"stoker/internal/control/lifecycle"
)

// LogQuery selects services and loggers for get-log and set-log.
type LogQuery struct {
	Binary string // "" or "*": all, this process included
	Server string // a host, host@backend, cluster or cluster@backend; "": all
	Prefix string // of logger names; "": all
}

// LogAnswer is what get-log found out.
type LogAnswer struct {
	Levels []cinder.ServiceLogLevels // this process first, then by id
	Silent []SilentService           // services that did not answer, and why
}

// SilentService is a service that did not answer get-log or could not be sent set-log.
type SilentService struct {
	Host   string
	Binary string
	Why    string
}

// silent says whether the service did not answer.
func (a *LogAnswer) silent(s cinder.Service) bool {
	return slices.ContainsFunc(a.Silent, func(x SilentService) bool { return x.Host == s.Host && x.Binary == s.Binary })
}

// own says whether the query means this process, as the API.
func (c *Control) own(q LogQuery) bool {
	return (q.Binary == "" || q.Binary == "*" || q.Binary == cinder.BinaryAPI) && (q.Server == "" || q.Server == c.o.Host)
}

// asked are the live services that the query means (doc/cinder/behaviour.md#log-levels).
func (c *Control) asked(ctx context.Context, q LogQuery) ([]cinder.Service, error) {
	if q.Binary == cinder.BinaryAPI {
		return nil, nil
	}
	v, err := c.o.Store.View(ctx, cinder.ServiceQuery{})
	if err != nil {
		return nil, err
	}
	var found []cinder.Service
	for i := range v.Services {
		s := &v.Services[i]
		if (q.Binary == "" || q.Binary == "*" || q.Binary == s.Binary) &&
			(q.Server == "" || cinder.HostMatches(s.Host, q.Server) || s.Cluster != "" && cinder.HostMatches(s.Cluster, q.Server)) &&
			s.Up(v.Now, c.o.DownTime) {
			found = append(found, *s)
		}
	}
	return found, nil
}

// LogLevels asks all selected services at once. Those that do not answer within
// LogTimeout are named in the answer while the others are shown (G5). A service
// too old for the question is KindNotSupported, as in Cinder.
func (c *Control) LogLevels(ctx context.Context, q LogQuery) (LogAnswer, error) {
	services, err := c.asked(ctx, q)
	if err != nil {
		return LogAnswer{}, fmt.Errorf("get-log: %w", err)
	}
	levels := make([]map[string]cinder.LogLevel, len(services))
	silent, err := c.each(ctx, services, func(ctx context.Context, i int) error {
		got, err := c.o.Logs.LogLevels(ctx, services[i], q.Prefix)
		if err == nil {
			levels[i] = got
		}
		return err
	})
	if err != nil {
		return LogAnswer{}, fmt.Errorf("get-log: %w", err)
	}
	answer := LogAnswer{Silent: silent}
	if c.own(q) {
		answer.Levels = append(answer.Levels, cinder.ServiceLogLevels{
			Host: c.o.Host, Binary: cinder.BinaryAPI, Levels: c.o.Loggers.Levels(q.Prefix),
		})
	}
	for i, s := range services {
		if !answer.silent(s) {
			answer.Levels = append(answer.Levels, cinder.ServiceLogLevels{Host: s.Host, Binary: s.Binary, Levels: levels[i]})
		}
	}
	return answer, nil
}

// SetLogLevels sets the level of the selected loggers of the selected services.
// It returns when the command is delivered to all; services that could not be
// sent it are named in the operation's outcome, and when that is all of them it
// fails with KindUndeliverable.
func (c *Control) SetLogLevels(ctx context.Context, q LogQuery, level cinder.LogLevel) (cinder.Operation, error) {
	services, err := c.asked(ctx, q)
	if err != nil {
		return cinder.Operation{}, fmt.Errorf("set-log: %w", err)
	}
	// What has begun is brought to its end, and on record, also for a client that goes away.
	ctx, cancel := detached(ctx, c.o.LogTimeout+settleTimeout)
	defer cancel()
	if c.own(q) {
		c.o.Loggers.SetLevel(q.Prefix, level)
	}
	silent, tooOld := c.each(ctx, services, func(ctx context.Context, i int) error {
		return c.o.Logs.SetLogLevel(ctx, services[i], q.Prefix, level)
	})
	as := lifecycle.Done
	nobody := len(silent) > 0 && len(silent) == len(services) && !c.own(q)
	if nobody {
		as = lifecycle.RolledBack
	}
	op, err := c.recordLevels(ctx, q, level, as, silent, tooOld)
	if err != nil {
		return cinder.Operation{}, fmt.Errorf("set-log: %w", err)
	}
	if tooOld != nil {
		return op, fmt.Errorf("set-log: %w", tooOld)
	}
	if nobody {
		return op, cinder.Errorf(cinder.KindUndeliverable, "No service could be sent the log level: %s", op.Outcome)
	}
	return op, nil
}

func (c *Control) recordLevels(ctx context.Context, q LogQuery, level cinder.LogLevel, as lifecycle.Phase, silent []SilentService, tooOld error) (cinder.Operation, error) {
	var names []string
	for _, s := range silent {
		names = append(names, s.Binary+" on "+s.Host+": "+s.Why)
	}
	var op cinder.Operation
	err := c.o.Store.Update(ctx, func(tx Tx) error {
		op = c.operation(ctx, tx, c.newID(), cinder.OpSetLog)
		op.Binary, op.Host, op.Detail = q.Binary, q.Server, q.Prefix+"="+string(level)
		outcome := ""
		if names != nil {
			outcome = "not delivered to " + strings.Join(names, ", ")
		}
		if tooOld != nil {
			as, outcome = lifecycle.Failed, "not delivered to all: "+tooOld.Error()
		}
		ended(&op, tx, as, outcome)
		return tx.AddOperation(ctx, op)
	})
	return op, err
}

// each runs ask for all services at once, each bounded by LogTimeout, and names
// those it failed for, by id. A service that is too old fails the whole.
func (c *Control) each(ctx context.Context, services []cinder.Service, ask func(context.Context, int) error) ([]SilentService, error) {
	var (
		mu     sync.Mutex
		failed = map[int]error{}
		group  errgroup.Group
	)
	ctx, cancel := context.WithTimeout(ctx, c.o.LogTimeout) // one for all: the whole is bounded, however many there are
	defer cancel()
	for i := range services {
		group.Go(func() error {
			err := ask(ctx, i)
			if cinder.KindOf(err) == cinder.KindNotSupported {
				return err
			}
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed[i] = err
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var silent []SilentService
	for i, err := range failed {
		why := cinder.Message(err)
		if why == "" {
			why = cinder.KindOf(err).String() + " error"
		}
		c.o.Log.DebugContext(ctx, "service did not answer", "binary", services[i].Binary, "host", services[i].Host, "error", err)
		silent = append(silent, SilentService{Host: services[i].Host, Binary: services[i].Binary, Why: why})
	}
	if len(silent) > 0 {
		c.o.Log.WarnContext(ctx, "services did not answer", "how_many", len(silent), "one_of_them", silent[0].Binary+" on "+silent[0].Host, "why", silent[0].Why)
	}
	slices.SortFunc(silent, func(a, b SilentService) int {
		return strings.Compare(a.Host+a.Binary, b.Host+b.Binary)
	})
	return silent, nil
}
