package mirror_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/backend"
	"stoker/internal/cinder"
)

func TestVerdicts(t *testing.T) {
	volume := func(id string) cinder.Volume { return cinder.Volume{ID: id, Name: "volume-" + id} }
	volumes := []cinder.Volume{
		volume("here"), volume("there"), volume("both"), volume("nowhere"), volume("folder"), {ID: "path", Name: "../default/volume-there"},
	}
	for _, tt := range []struct {
		name   string
		active string
		lose   string // an unreachable site
		want   []string
	}{
		{"at the site", "site-b", "", []string{"folder", "there"}},
		{"at the primary site", "", "", []string{"here"}},
		{"what may be at a site out of reach", "site-b", "site-c", []string{"folder", "nowhere", "there"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newArray(t).setup(backend.State{Active: tt.active})
			a.write("site-b/volume-here", "data", time.Hour)
			a.write("default/volume-there", "data", time.Hour)
			a.write("default/volume-folder", "data", time.Hour)
			a.write("default/volume-both", "data", time.Hour)
			a.write("site-b/volume-both", "data", time.Hour)
			if err := os.Mkdir(filepath.Join(a.root, "site-b", "volume-folder"), 0o750); err != nil {
				t.Fatal(err)
			}
			if tt.lose != "" {
				a.lose(tt.lose)
			}
			got, err := a.Verdicts(t.Context(), volumes)
			if err != nil {
				t.Fatal(err)
			}
			maps.DeleteFunc(got, func(_ string, v backend.Verdict) bool { return !v.Lost })
			if diff := cmp.Diff(tt.want, slices.Sorted(maps.Keys(got))); diff != "" {
				t.Errorf("lost (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVerdictsThatCannotBeGiven(t *testing.T) {
	volumes := []cinder.Volume{{ID: "1", Name: "volume-1"}}
	a := newArray(t)
	_, err := a.Verdicts(t.Context(), volumes)
	wantKind(t, err, cinder.KindUnavailable)

	a.setup(backend.State{Active: "site-b"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Verdicts(ctx, volumes); err == nil {
		t.Error("a context that has ended was not noticed")
	}
	a.lose("site-b")
	if _, err := a.Verdicts(t.Context(), volumes); err == nil {
		t.Error("an active site that cannot be read gave verdicts")
	}
}
