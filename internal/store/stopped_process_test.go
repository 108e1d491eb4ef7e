package store_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
	"stoker/internal/store"
)

// otherWaits bounds how long others wait for a process that was stopped while it wrote.
// The servers abort its transaction after 2 s; before, they did so after 10 s or never.
const otherWaits = 7 * time.Second

// TestStoppedInAChange checks that a process stopped during a change blocks the others
// briefly, and applies its change once when it continues.
func TestStoppedInAChange(t *testing.T) {
	for _, e := range serverEngines() {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			url := e.create(t)
			prepare(t, url)
			stopped, other := openURL(t, url), openURL(t, url)
			inside, goOn := make(chan struct{}), make(chan struct{})
			var once sync.Once
			ended := make(chan error, 1)
			go func() {
				ended <- stopped.Update(t.Context(), func(tx *store.Tx) error {
					for _, id := range []string{"stopped, first", "stopped, second"} {
						if err := tx.AddOperation(t.Context(), cinder.Operation{ID: id, State: cinder.OpOpen, StartedAt: filledAt()}); err != nil {
							return err
						}
						once.Do(func() {
							close(inside)
							<-goOn
						})
					}
					return nil
				})
			}()
			<-inside
			ctx, cancel := context.WithTimeout(t.Context(), otherWaits)
			defer cancel()
			err := other.Update(ctx, func(tx *store.Tx) error {
				return tx.AddOperation(ctx, cinder.Operation{ID: "other", State: cinder.OpOpen, StartedAt: filledAt()})
			})
			if err != nil {
				t.Errorf("a change while another process stands still in one: %v", err)
			}
			close(goOn)
			if err := <-ended; err != nil {
				t.Errorf("the change of the process that stood still: %v", err)
			}
			if diff := cmp.Diff([]string{"other", "stopped, first", "stopped, second"}, operationIDs(t, other)); diff != "" {
				t.Errorf("operations (-want +got):\n%s", diff)
			}
		})
	}
}

// TestStoppedInAHeartbeat checks that a process stopped during a heartbeat does not
// block changes of the service for long.
func TestStoppedInAHeartbeat(t *testing.T) {
	for _, e := range serverEngines() {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			url := e.create(t)
			prepare(t, url)
			inside, goOn := make(chan struct{}), make(chan struct{})
			stopped, err := store.Open(t.Context(), store.Options{URL: url, Watch: func(s store.Statement) {
				if strings.HasPrefix(s.Text, "SELECT id, uuid") { // the ids without a row are read after the rows were written
					close(inside)
					<-goOn
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { end(t, stopped) })
			other := openURL(t, url)
			s, err := other.Register(t.Context(), cinder.Service{Host: "h@b", Binary: cinder.BinaryVolume})
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() {
				_, err := stopped.Beat(t.Context(), s.ID, s.ID+1)
				ended <- err
			}()
			<-inside
			ctx, cancel := context.WithTimeout(t.Context(), otherWaits)
			defer cancel()
			err = other.Update(ctx, func(tx *store.Tx) error {
				rows, err := tx.Services(ctx, cinder.ServiceQuery{Host: &s.Host})
				if err != nil {
					return err
				}
				now := rows[0]
				now.DisabledReason = new("other")
				return tx.SaveService(ctx, rows[0], now)
			})
			if err != nil {
				t.Errorf("a change of a service whose process stands still in a heartbeat: %v", err)
			}
			close(goOn)
			if err := <-ended; cinder.KindOf(err) != cinder.KindUnavailable {
				t.Errorf("the heartbeat of the process that stood still: %v, want that it was lost", err)
			}
		})
	}
}
