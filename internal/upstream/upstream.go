package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"
)

// Options are what an Upstream is made of. All are needed but for CAFile.
type Options struct {
	URLs   []string // of cinder-api, http or https with a host and no path, in the order they are tried
	CAFile string   // who signs their certificates; "" is whom the system trusts

	Connect time.Duration // bounds a connection, the TLS handshake included
	Answer  time.Duration // bounds the wait for an answer's head, once the request is sent
	Stall   time.Duration // bounds each wait for the next part of a body, of either side

	Interval time.Duration // between two looks at each address

	Log     *slog.Logger // changes of state
	Answers *slog.Logger // answers that were cut off; should count those that agree
}

// Upstream hands requests on. It is safe for concurrent use.
type Upstream struct {
	o       Options
	targets []*target
	pooled  *http.Transport // for requests that may be sent twice
	fresh   *http.Transport // for all others: a connection each
	buffers buffers
}

// New makes an Upstream; nothing is connected to before the first look or request.
// It fails when a URL or the CA file cannot be used.
func New(o Options) (*Upstream, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(0)}
	if o.CAFile != "" {
		text, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read upstream_ca_file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("no certificate in upstream_ca_file %s", o.CAFile)
		}
	}
	u := &Upstream{o: o, pooled: newTransport(o, config, false), fresh: newTransport(o, config, true)}
	for _, s := range o.URLs {
		at, err := url.Parse(s)
		if err != nil {
			return nil, fmt.Errorf("upstream: %w", err)
		}
		u.targets = append(u.targets, &target{scheme: at.Scheme, host: at.Host, up: true, newest: unknown})
	}
	return u, nil
}

// Run looks at the addresses until ctx ends.
func (u *Upstream) Run(ctx context.Context) {
	defer u.pooled.CloseIdleConnections()
	tick := time.NewTicker(u.o.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			u.Look(ctx)
		}
	}
}

// Look asks every address, all at once, whether it answers and which versions it
// has. It returns within twice Connect.
func (u *Upstream) Look(ctx context.Context) {
	var looks sync.WaitGroup
	for _, t := range u.targets {
		looks.Go(func() {
			newest, err := u.ask(ctx, t)
			if ctx.Err() == nil {
				u.found(ctx, t, newest, err)
			}
		})
	}
	looks.Wait()
}

// Newest is the newest microversion, 3.x, that every cinder-api speaks as far as
// is known: what each said last counts while it is away. ok is false when none has
// ever said.
func (u *Upstream) Newest() (x int, ok bool) {
	for _, t := range u.targets {
		if _, newest := t.state(); newest != unknown && (!ok || newest < x) {
			x, ok = newest, true
		}
	}
	return x, ok
}

// Trouble says what is wrong, without addresses: "" when every cinder-api answers.
func (u *Upstream) Trouble() string {
	away := 0
	for _, t := range u.targets {
		if up, _ := t.state(); !up {
			away++
		}
	}
	switch {
	case away == 0:
		return ""
	case away == len(u.targets):
		return "away: only what this process serves itself is answered"
	default:
		return fmt.Sprintf("%d of %d away", away, len(u.targets))
	}
}
