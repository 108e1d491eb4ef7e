package agent

import (
	"context"
	"strings"
	"time"

	"stoker/internal/cinder"
)

// broadcast sends capabilities to all schedulers, then to one, as Cinder's services do
// (doc/cinder/wire.md#capabilities). It succeeds when no scheduler listens.
func (s *service) broadcast(ctx context.Context, kind, cluster string, values map[string]any) error {
	c := cinder.Capabilities{
		Service: kind, Host: s.row.Host, Cluster: cluster, Values: values, Time: time.Now().UTC(),
	}
	if err := s.o.Bus.UpdateServiceCapabilities(ctx, c); ignoreUndeliverable(err) != nil {
		return err
	}
	return ignoreUndeliverable(s.o.Bus.NotifyServiceCapabilities(ctx, c))
}

// ignoreUndeliverable ignores that no scheduler runs.
func ignoreUndeliverable(err error) error {
	if cinder.KindOf(err) == cinder.KindUndeliverable {
		return nil
	}
	return err
}

// backendName is the backend's name in a volume service's host.
func backendName(host string) string {
	if _, name, ok := strings.Cut(host, "@"); ok {
		return name
	}
	return host
}
