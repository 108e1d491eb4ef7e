package control_test

import (
	"fmt"
	"strings"
	"testing"

	"stoker/internal/cinder"
)

// A service that was removed and has registered again is disabled again, as it was,
// also when it is a Python one (doc/cinder/behaviour.md#registration).
func TestRemovedAndRegisteredAgain(t *testing.T) {
	tests := []struct {
		do     []string
		want   string
		marked bool // another API has begun to freeze the new one
	}{
		{[]string{"reason maint"}, "disabled 'maint' enabled", false},
		{[]string{"reason maint", "freeze"}, "disabled 'frozen' frozen enabled", false},
		{[]string{"freeze"}, "disabled 'frozen' frozen enabled", false},
		{[]string{"freeze"}, "disabled 'frozen' frozen enabled", true},
		{[]string{"reason maint", "enable"}, "enabled - enabled", false},
		{[]string{"freeze", "thaw"}, "enabled - enabled", false},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(strings.Join(tt.do, ", "), tt.marked), func(t *testing.T) {
			s := newSite(t)
			old := s.volume(alpha, "", cinder.ReplicationEnabled)
			for _, words := range tt.do {
				if err := s.act(words); err != nil {
					t.Fatal(err)
				}
			}
			s.remove(old.ID)
			if row := s.volume(alpha, "", cinder.ReplicationEnabled); row.ID == old.ID {
				t.Fatal("the row is the old one")
			}
			if tt.marked {
				s.edit(alpha, func(r *cinder.Service) { r.Frozen = true })
			}
			s.look(s.Control)
			if got := says(s.row(alpha)); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			last, err := s.db.Operations(t.Context(), cinder.OperationQuery{Limit: 1})
			if err != nil {
				t.Fatal(err)
			}
			const says = "removed, and registered anew: disabled again as it was"
			if disabled := strings.HasPrefix(tt.want, "disabled"); (last[0].Outcome == says) != disabled {
				t.Errorf("on record: %q", last[0].Outcome)
			}
		})
	}
}
