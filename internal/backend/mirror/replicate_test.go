package mirror_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stoker/internal/backend"
	"stoker/internal/backend/mirror"
	"stoker/internal/cinder"
)

func TestReplicate(t *testing.T) {
	a := newArray(t).setup(backend.State{})
	a.write("default/volume-1", "one", time.Hour)
	a.write("default/volume-2", "new", time.Minute)
	a.write("site-b/volume-2", "old", time.Hour)
	a.write("site-c/volume-2", "newer", time.Second)
	a.write("site-c/volume-3", "elsewhere", time.Hour)
	a.write("default/.part-1", "half", 0)
	if err := os.Mkdir(filepath.Join(a.root, "default", "lost+found"), 0o750); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second round has nothing to do
		if err := a.Replicate(t.Context()); err != nil {
			t.Fatal(err)
		}
		a.wantVolumes("site-b", map[string]string{"volume-1": "one", "volume-2": "new"})
		a.wantVolumes("site-c", map[string]string{"volume-1": "one", "volume-2": "newer", "volume-3": "elsewhere"})
	}
	a.write("default/volume-1", "one, changed", 0)
	if err := a.Replicate(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.wantVolumes("site-b", map[string]string{"volume-1": "one, changed", "volume-2": "new"})

	info, err := os.Stat(filepath.Join(a.root, "site-b", "volume-1"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("copy has mode %v, %v; want the original's", info.Mode(), err)
	}
}

func TestReplicateReachesTheRest(t *testing.T) {
	a := newArray(t).setup(backend.State{})
	a.write("default/volume-1", "one", 0)
	a.lose("site-b")
	err := a.Replicate(t.Context())
	if err == nil || !strings.Contains(err.Error(), "site-b") || strings.Contains(err.Error(), "site-c") {
		t.Errorf("error %v, want one about site-b alone", err)
	}
	a.wantVolumes("site-c", map[string]string{"volume-1": "one"})
}

func TestReplicateEndsWithItsContext(t *testing.T) {
	a := newArray(t).setup(backend.State{})
	a.write("default/volume-1", "one", 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Replicate(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that the context ended", err)
	}
	a.wantVolumes("site-b", map[string]string{}) // not even a partial copy
}

func TestFailover(t *testing.T) {
	tests := []struct {
		name   string
		active string // the initial active site
		target *string
		lose   []string
		want   string
		kind   cinder.Kind // of the error; with fails
		fails  bool
	}{
		{name: "to a target", target: new("site-c"), want: "site-c"},
		{name: "the backend's choice", target: nil, want: "site-b"},
		{name: "its next choice", active: "site-b", target: nil, want: "site-c"},
		{name: "its choice among those that are there", target: nil, lose: []string{"site-b"}, want: "site-c"},
		{name: "back", active: "site-b", target: new("default"), want: ""},
		{name: "to where it is", active: "site-b", target: new("site-b"), want: "site-b"},
		{name: "back from home", target: new("default"), want: ""},
		{name: "when the active site is lost", target: new("site-b"), lose: []string{"default"}, want: "site-b"},
		{name: "to nowhere", target: new("nowhere"), kind: cinder.KindInvalid, fails: true},
		{name: "out of the root", target: new("../alpha/site-b"), kind: cinder.KindInvalid, fails: true},
		{name: "to a lost site", target: new("site-b"), lose: []string{"site-b"}, kind: cinder.KindInternal, fails: true},
		{name: "back to a lost site", active: "site-b", target: new("default"), lose: []string{"default"}, kind: cinder.KindInternal, fails: true},
		{name: "nothing left to choose", target: nil, lose: []string{"site-b", "site-c"}, kind: cinder.KindInternal, fails: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newArray(t).setup(backend.State{Active: tt.active, Frozen: true})
			for _, site := range tt.lose {
				a.lose(site)
			}
			got, err := a.Failover(t.Context(), tt.target)
			want := tt.want
			if tt.fails {
				wantKind(t, err, tt.kind)
				want = tt.active
			} else if err != nil || got != tt.want {
				t.Errorf("active site %q, %v; want %q", got, err, tt.want)
			}
			// The freeze shows which site is active.
			if want == "" {
				want = "default"
			}
			if got := a.frozen(); got != want {
				t.Errorf("frozen: %q, want %q alone", got, want)
			}
		})
	}
}

// TestFailoverTakesTheDataAlong checks that a failover keeps the latest writes, and
// that the failback keeps those made since.
func TestFailoverTakesTheDataAlong(t *testing.T) {
	a := newArray(t).setup(backend.State{})
	a.write("default/volume-1", "one", time.Minute)
	if _, err := a.Failover(t.Context(), new("site-b")); err != nil {
		t.Fatal(err)
	}
	a.wantVolumes("site-b", map[string]string{"volume-1": "one"})
	a.write("site-b/volume-1", "one, changed", 0)
	a.write("site-b/volume-2", "two", 0)
	if err := a.Replicate(t.Context()); err != nil {
		t.Fatal(err)
	}
	both := map[string]string{"volume-1": "one, changed", "volume-2": "two"}
	a.wantVolumes("site-c", both)
	if _, err := a.Failover(t.Context(), new("default")); err != nil {
		t.Fatal(err)
	}
	a.wantVolumes("default", both)
}

// TestAMemberThatDoesNotKnowYetHarmsNothing has a member that does not know of the
// failover yet replicate in the wrong direction: that must not harm what was written at
// the new site.
func TestAMemberThatDoesNotKnowYetHarmsNothing(t *testing.T) {
	a := newArray(t).setup(backend.State{})
	other, err := mirror.New(mirror.Options{
		Name: "alpha", Root: a.root, Targets: []string{"site-b", "site-c"}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Setup(t.Context(), backend.State{}); err != nil {
		t.Fatal(err)
	}
	a.write("default/volume-1", "one", time.Minute)
	if _, err := a.Failover(t.Context(), new("site-b")); err != nil {
		t.Fatal(err)
	}
	a.write("site-b/volume-1", "changed", 0)
	a.write("site-b/volume-2", "two", 0)
	if err := other.Replicate(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"volume-1": "changed", "volume-2": "two"}
	a.wantVolumes("site-b", want)
	for range 2 { // it may be told twice
		if err := other.FailoverCompleted(t.Context(), "site-b"); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.Replicate(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.wantVolumes("default", want)
	wantKind(t, other.FailoverCompleted(t.Context(), "nowhere"), cinder.KindInvalid)
}
