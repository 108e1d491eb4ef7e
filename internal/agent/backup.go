package agent

import (
	"context"
	"time"

	"stoker/internal/cinder"
)

// BackupOptions are what a backup service is made of.
type BackupOptions struct {
	Options
	Driver        string        // driver_name
	StatsInterval time.Duration // between publications of what it can do

	// Serve starts to take the service's commands. Nil means that it takes none.
	Serve func(ctx context.Context, b *Backup) (Server, error)
}

// Backup is a backup service as far as os-services needs one: it is there, has
// log levels and says what it can do.
type Backup struct {
	*service
	bo BackupOptions
}

// NewBackup makes a backup service.
func NewBackup(o BackupOptions) *Backup {
	b := &Backup{bo: o}
	b.service = newService(o.Options, cinder.BinaryBackup, cinder.BackupRPCVersion, "", b)
	return b
}

// PublishCapabilities tells every scheduler what the service can do.
func (b *Backup) PublishCapabilities(ctx context.Context) error { return b.publish(ctx) }

func (b *Backup) publish(ctx context.Context) error {
	return b.broadcast(ctx, "backup", "", map[string]any{
		"backend_state": true, "driver_name": b.bo.Driver, "availability_zone": b.o.Zone,
	})
}

func (b *Backup) serve(ctx context.Context) (Server, error) {
	return serving(ctx, b.bo.Serve, b)
}

func (b *Backup) tasks() []task { return []task{{every: b.bo.StatsInterval, do: b.tell}} }
