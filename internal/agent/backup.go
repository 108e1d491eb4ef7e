package agent

import (
	"context"
	"time"

	"stoker/internal/cinder"
)

// BackupOptions configure a backup service.
type BackupOptions struct {
	Options
	Driver        string        // driver_name
	StatsInterval time.Duration // between publications of its capabilities

	// Serve starts serving the service's commands. With nil it serves none.
	Serve func(ctx context.Context, b *Backup) (Server, error)
}

// Backup is a backup service as far as os-services needs one: it has a row and log
// levels, and publishes its capabilities.
type Backup struct {
	*service
	bo BackupOptions
}

// NewBackup returns a backup service.
func NewBackup(o BackupOptions) *Backup {
	b := &Backup{bo: o}
	b.service = newService(o.Options, cinder.BinaryBackup, cinder.BackupRPCVersion, "", b)
	return b
}

// PublishCapabilities sends the service's capabilities to every scheduler.
func (b *Backup) PublishCapabilities(ctx context.Context) error { return b.publish(ctx) }

func (b *Backup) publish(ctx context.Context) error {
	return b.broadcast(ctx, "backup", "", map[string]any{
		"backend_state": true, "driver_name": b.bo.Driver, "availability_zone": b.o.Zone,
	})
}

func (b *Backup) serve(ctx context.Context) (Server, error) {
	return serveWith(ctx, b.bo.Serve, b)
}

func (b *Backup) tasks() []task { return []task{{every: b.bo.StatsInterval, do: b.announce}} }
