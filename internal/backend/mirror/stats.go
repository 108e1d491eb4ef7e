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

// Stats returns the size of the active site and its volumes. If the site is unreadable,
// or before Setup, the pool is down; that is not an error.
func (b *Backend) Stats(context.Context) (backend.Stats, error) {
	pool := backend.Pool{Name: b.o.Name}
	if site := b.activeSite(); site != "" {
		err := measure(b.dir(site), &pool)
		pool.Up = err == nil
		if err != nil {
			b.o.Log.Warn("active site unreadable; backend is down", "backend", b.o.Name, "site", site, "error", err)
		}
	}
	return backend.Stats{
		Name: b.o.Name, Vendor: "Stoker", Version: "1.0", Protocol: "file",
		Targets: b.o.Targets, Pools: []backend.Pool{pool},
	}, nil
}

// measure reads the size of the directory's file system and of its volumes.
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
		if info, err := e.Info(); err == nil { // else it was removed meanwhile
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

// gigabytes converts to Cinder's gigabytes, which are gibibytes, with two decimals.
func gigabytes(bytes float64) float64 {
	return math.Round(bytes/(1<<30)*100) / 100
}
