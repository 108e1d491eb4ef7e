package mirror

import (
	"context"
	"fmt"
	"math"
	"os"
	"strings"
	"syscall"

	"stoker/internal/backend"
)

// Stats says what the active site holds and has room for. A site that cannot be
// read is no error, but a pool that is down, as is one before Setup.
func (b *Backend) Stats(context.Context) (backend.Stats, error) {
	pool := backend.Pool{Name: b.o.Name}
	if site := b.where(); site != "" {
		err := measure(b.dir(site), &pool)
		pool.Up = err == nil
		if err != nil {
			b.o.Log.Warn("The active site cannot be read: the backend is down.", "backend", b.o.Name, "site", site, "error", err)
		}
	}
	return backend.Stats{
		Name: b.o.Name, Vendor: "Stoker", Version: "1.0", Protocol: "file",
		Targets: b.o.Targets, Pools: []backend.Pool{pool},
	}, nil
}

// measure reads the room of the directory's file system and what its volumes take.
func measure(dir string, p *backend.Pool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var used int64
	for _, e := range entries {
		if !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if info, err := e.Info(); err == nil { // Else it was removed meanwhile.
			used += info.Size()
		}
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("room of %s: %w", dir, err)
	}
	block := float64(fs.Bsize)
	p.TotalGB, p.FreeGB = gigabytes(float64(fs.Blocks)*block), gigabytes(float64(fs.Bavail)*block)
	p.UsedGB = gigabytes(float64(used))
	return nil
}

// gigabytes are Cinder's, which are gibibytes, to two decimals.
func gigabytes(bytes float64) float64 {
	return math.Round(bytes/(1<<30)*100) / 100
}
