package agent

import (
	"context"
	"strings"
	"time"

	"stoker/internal/cinder"
)

// broadcast tells all schedulers, then one of them, as Cinder's services do
// (doc/cinder/wire.md#capabilities). That nobody is there to hear is no failure.
func (s *service) broadcast(ctx context.Context, kind, cluster string, values map[string]any) error {
	c := cinder.Capabilities{
		Service: kind, Host: s.row.Host, Cluster: cluster, Values: values, Time: time.Now().UTC(),
	}
	if err := s.o.Bus.UpdateServiceCapabilities(ctx, c); heard(err) != nil {
		return err
	}
	return heard(s.o.Bus.NotifyServiceCapabilities(ctx, c))
}

// heard forgives that no scheduler runs.
func heard(err error) error {
	if cinder.KindOf(err) == cinder.KindUndeliverable {
		return nil
	}
	return err
}

// backendName is the part of a volume service's host that names its backend.
func backendName(host string) string {
	if _, name, ok := strings.Cut(host, "@"); ok {
		return name
	}
	return host
}
