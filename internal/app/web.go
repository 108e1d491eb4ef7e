package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"stoker/internal/api"
	"stoker/internal/cinder"
	"stoker/internal/config"
)

// Bounds on what a client may take of the server.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 30 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 32 << 10
	maxStreams        = 100             // of one HTTP/2 connection
	patience          = 3 * time.Second // with requests that are under way when the process stops
)

// web is a server: the API's, or that of metrics. Its port is taken by New, so
// that a port in use is found out before anything runs.
type web struct {
	name     string
	listener net.Listener
	server   *http.Server
}

func (a *App) newWeb(ctx context.Context) (*web, error) {
	c := a.o.Config
	l, err := a.listen(ctx, c.ListenAddress())
	if err != nil {
		return nil, err
	}
	log := a.loggers.Logger("stoker.api")
	if err := a.newUpstream(); err != nil {
		return nil, err
	}
	o, err := a.guard(a.edge(api.Options{Control: a.control, Log: log, Refusals: a.counted(log, "status")}))
	if err != nil {
		return nil, err
	}
	handler, err := api.New(o)
	if err != nil {
		return nil, err
	}
	a.onStop("lists", func(context.Context) error { handler.Close(); return nil })
	wrapped, err := a.o.Wrap(handler)
	if err != nil {
		return nil, err
	}
	server := newServer(wrapped, c.ResponseTimeout, maxConnections)
	server.RegisterOnShutdown(handler.End)
	server.ErrorLog = a.connectionLog("stoker.http")
	if c.Edge.UseSSL {
		files, err := newCertificates(c.Edge, a.loggers.Logger("stoker.http"))
		if err != nil {
			return nil, err
		}
		server.TLSConfig = files.config()
	}
	return &web{name: "API", listener: l, server: server}, nil
}

// listen takes an address until the process stops.
func (a *App) listen(ctx context.Context, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, listenError(address, err)
	}
	a.onStop("listener", func(context.Context) error {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return l, nil
}

// newServer makes a server that no client can hold up: each part of a request and
// of its answer has its time, and idle connections make room for others.
func newServer(handler http.Handler, responseTimeout time.Duration, connections int) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		// A freeze may take the response timeout; what follows it is our own work.
		WriteTimeout: responseTimeout + readTimeout,
		HTTP2:        &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		// OPTIONS * goes to the handler as every other request does.
		DisableGeneralOptionsHandler: true,
		ConnState:                    newConnections(connections).changed,
	}
}

// edge fills in how the API meets its clients.
func (a *App) edge(o api.Options) api.Options {
	e := a.o.Config.Edge
	o.ProxyHeaders, o.MaxBody, o.Rate, o.Burst = e.ProxyHeaders, int64(e.MaxBody), e.Rate, e.Burst
	for _, c := range append([]config.CORS{e.CORS}, e.MoreCORS...) {
		o.CORS = append(o.CORS, api.CORS{
			Origins: c.Origins, Credentials: c.Credentials, Expose: c.ExposeHeaders, MaxAge: c.MaxAge, Methods: c.Methods, Headers: c.Headers,
		})
	}
	o.ProjectRegex = a.o.Config.ProjectRegex
	o.PublicURL = strings.TrimRight(a.o.Config.PublicEndpoint, "/")
	o.Health = a.health
	if a.passed != nil {
		o.Upstream = a.passed
	}
	if a.metrics != nil {
		o.Requests = a.metrics
	}
	return o
}

// serve answers requests until the server is shut down.
func (w *web) serve() error {
	if w.server.TLSConfig != nil {
		return w.server.ServeTLS(w.listener, "", "")
	}
	return w.server.Serve(w.listener)
}

// listenError says in words for the operator why the port cannot be had.
func listenError(address string, err error) error {
	why := err.Error()
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Err != nil {
		why = op.Err.Error()
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		why = "the port is in use (by another stoker or a cinder-api?)"
	}
	return cinder.Errorf(cinder.KindUnavailable, "listen on %s: %s", address, why)
}

// start serves until the process stops.
func (w *web) start(a *App) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := w.serve(); !errors.Is(err, http.ErrServerClosed) {
			a.failed <- fmt.Errorf("serve the %s: %w", w.name, err)
		}
	}()
	a.onStop(w.name, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		err := w.server.Shutdown(ctx)
		if errors.Is(err, context.DeadlineExceeded) { // a client that is slow is no failure of ours
			a.log.WarnContext(ctx, "requests that were under way have been cut off")
			err = w.server.Close()
		}
		<-done
		return err
	})
}
