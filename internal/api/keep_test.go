package api

import (
	"slices"
	"testing"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/control"
)

// What is kept is what rendering would give, whatever has changed since.
func TestKeptListIsNeverStale(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	row := func(beat time.Duration) cinder.Service {
		return cinder.Service{ID: 1, Host: "h@b", Binary: cinder.BinaryVolume, CreatedAt: now.Add(-time.Hour), UpdatedAt: now.Add(beat)}
	}
	base := control.Listing{Services: []cinder.Service{row(-30 * time.Second)}, Now: now, DownTime: time.Minute}
	up := map[string]string{"h@b": "up"}
	later := func(l control.Listing, d time.Duration) control.Listing {
		l.Now = l.Now.Add(d)
		return l
	}
	ahead := control.Listing{Services: []cinder.Service{row(90 * time.Second)}, Now: now, DownTime: time.Minute}
	modified := base
	modified.Services = []cinder.Service{row(-30 * time.Second)}
	modified.Services[0].ModifiedAt = now.Add(10 * time.Second)
	tests := []struct {
		name          string
		first, second control.Listing
		before, after map[string]string
		shared        bool
	}{
		{"the same again", base, base, up, up, true},
		{"a little later", base, later(base, 29*time.Second), up, up, true},
		{"at the last moment", base, later(base, 30*time.Second), up, up, true},
		{"down by the clock", base, later(base, 30*time.Second+1), up, up, false},
		{"the clock set back", base, later(base, -time.Second), up, up, false},
		{"other rows that are equal", base, control.Listing{Services: slices.Clone(base.Services), Now: now, DownTime: time.Minute}, up, up, false},
		{"the backend went down", base, base, up, map[string]string{"h@b": "down"}, false},
		{"the scheduler went away", base, base, up, nil, false},
		{"a heartbeat ahead of the clock", ahead, later(ahead, time.Minute), up, up, false},
		{"a change ahead of the clock", modified, later(modified, 20*time.Second), up, up, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var k kept
			first := k.render(tt.first, viewBackend, tt.before)
			second := k.render(tt.second, viewBackend, tt.after)
			if want := renderServices(tt.second, viewBackend, tt.after); string(second) != string(want) {
				t.Errorf("kept\n%s\nwant\n%s", second, want)
			}
			if shared := &first[0] == &second[0]; shared != tt.shared {
				t.Errorf("shared %v, want %v", shared, tt.shared)
			}
			if basic := k.render(tt.second, viewBasic, nil); string(basic) == string(second) {
				t.Error("another view was given the same list")
			}
		})
	}
}
