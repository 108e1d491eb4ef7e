package app

import (
	"fmt"
	"time"

	"stoker/internal/upstream"
)

// Bounds on a cinder-api that requests are passed on to.
const (
	upstreamConnect  = 3 * time.Second
	upstreamStall    = 30 * time.Second
	upstreamInterval = 5 * time.Second
)

// newUpstream makes what hands requests on, when there is a cinder-api to hand them to.
func (a *App) newUpstream() error {
	c := a.o.Config
	if len(c.Upstream) == 0 {
		return nil
	}
	log := a.loggers.Logger("stoker.upstream")
	u, err := upstream.New(upstream.Options{
		URLs: c.Upstream, CAFile: c.UpstreamCAFile,
		// cinder-api waits for a service as long as we do, and has work of its own.
		Connect: upstreamConnect, Answer: c.ResponseTimeout + readTimeout, Stall: upstreamStall, Interval: upstreamInterval,
		Log: log, Answers: a.counted(log, "upstream"),
	})
	if err != nil {
		return fmt.Errorf("[stoker] %w", err)
	}
	a.passed = u
	return nil
}
