package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"stoker/internal/cinder"
)

// lock makes sure that no other process works in the directory: two that drive
// the same backends from the same rows would not know of each other. The system
// gives it back when the process ends, however that happens.
func (a *App) lock(file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("lock the data directory: %w", err)
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock the data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return cinder.Wrap(cinder.KindUnavailable, err, "%s is in use by another stoker", strings.TrimSuffix(file, "/lock"))
	}
	a.onStop("lock", func(context.Context) error { return f.Close() })
	return nil
}
