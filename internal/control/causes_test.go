package control_test

import (
	"strings"
	"testing"

	"stoker/internal/app"
	"stoker/internal/cinder"
	"stoker/internal/control"
)

const alpha = "host1@alpha"

// act runs one action given in words and returns its error.
func (s *site) act(words string) error {
	s.t.Helper()
	ctx := s.t.Context()
	verb, arg, _ := strings.Cut(words, " ")
	sel := control.Selector{Host: alpha}
	var err error
	switch verb {
	case "enable":
		_, err = s.Enable(ctx, alpha, cinder.BinaryVolume)
	case "disable":
		_, err = s.Disable(ctx, alpha, cinder.BinaryVolume)
	case "reason":
		_, err = s.DisableWithReason(ctx, alpha, cinder.BinaryVolume, &arg)
	case "freeze":
		_, err = s.Freeze(ctx, sel)
	case "thaw":
		_, err = s.Thaw(ctx, sel)
	case "failover":
		_, err = s.Failover(ctx, sel, &arg)
		if err == nil {
			s.settle(s.Control)
		}
	case "their-thaw":
		s.edit(alpha, func(r *cinder.Service) { r.Frozen, r.Disabled, r.DisabledReason = false, false, new("") })
	case "their-thaw-half": // what the API writes before the service does
		s.edit(alpha, func(r *cinder.Service) { r.Frozen = false })
	case "their-enable":
		s.edit(alpha, func(r *cinder.Service) { r.Disabled = false })
	case "their-disable":
		s.edit(alpha, func(r *cinder.Service) { r.Disabled, r.DisabledReason = true, &arg })
	case "their-freeze":
		s.edit(alpha, func(r *cinder.Service) { r.Frozen, r.Disabled, r.DisabledReason = true, true, new("frozen") })
	case "their-failback":
		s.edit(alpha, func(r *cinder.Service) {
			r.ReplicationStatus, r.ActiveBackendID, r.Disabled, r.DisabledReason = outcome("default")
		})
	case "refuse-thaw":
		s.fleet.answer["thaw"] = cinder.Errorf(cinder.KindConflict, "the array is rebuilding")
	default:
		s.t.Fatalf("no action %q", words)
	}
	return err
}

// Causes are independent (G4): each action ends its own cause and no other.
func TestCausesAreIndependent(t *testing.T) {
	tests := []struct {
		name string
		do   []string
		want string
	}{
		{"freeze", []string{"freeze"}, "disabled 'frozen' frozen enabled"},
		{"thaw gives back the service", []string{"freeze", "thaw"}, "enabled '' enabled"},
		{"disable keeps no reason", []string{"disable"}, "disabled - enabled"},
		{"enable clears the reason", []string{"reason maint", "enable"}, "enabled - enabled"},
		{"thaw gives the administrator's disable back", []string{"reason maint", "freeze", "thaw"}, "disabled 'maint' enabled"},
		{"and the one without a reason", []string{"disable", "freeze", "thaw"}, "disabled - enabled"},
		{"a disable while frozen stays after the thaw", []string{"freeze", "disable", "thaw"}, "disabled - enabled"},
		{"with its reason", []string{"freeze", "reason disk swap", "thaw"}, "disabled 'disk swap' enabled"},
		{"which shows at once", []string{"freeze", "reason disk swap"}, "disabled 'disk swap' frozen enabled"},
		{"failover", []string{"failover site-b"}, "disabled 'failed-over' failed-over on site-b"},
		{"to another", []string{"failover site-b", "failover site-c"}, "disabled 'failed-over' failed-over on site-c"},
		{"and back", []string{"failover site-b", "failover default"}, "enabled '' enabled"},
		{"enable ends the failover's cause", []string{"failover site-b", "enable"}, "enabled - failed-over on site-b"},
		{"and going back then changes nothing", []string{"failover site-b", "enable", "failover default"}, "enabled '' enabled"},
		{"a disable of the enabled one stays", []string{"failover site-b", "enable", "reason maint", "failover default"}, "disabled 'maint' enabled"},
		{"failback gives the administrator's disable back", []string{"reason maint", "failover site-b", "failover default"}, "disabled 'maint' enabled"},
		{"failback while frozen stays frozen", []string{"failover site-b", "freeze", "failover default"}, "disabled 'frozen' frozen enabled"},
		{"thaw while failed over stays failed over", []string{"failover site-b", "freeze", "thaw"}, "disabled 'failed-over' failed-over on site-b"},
		{"failover while frozen, thaw", []string{"freeze", "failover site-b", "thaw"}, "disabled 'failed-over' failed-over on site-b"},
		{"all three, thaw first", []string{"reason maint", "freeze", "failover site-b", "thaw", "failover default"}, "disabled 'maint' enabled"},
		{"all three, back first", []string{"reason maint", "freeze", "failover site-b", "failover default", "thaw"}, "disabled 'maint' enabled"},
		{"all three, back: the freeze's reason comes first", []string{"reason maint", "freeze", "failover site-b", "failover default"}, "disabled 'frozen' frozen enabled"},
		{"all three, thawed: the failover's comes next", []string{"reason maint", "failover site-b", "freeze", "thaw"}, "disabled 'failed-over' failed-over on site-b"},
		{"refused thaw stays frozen", []string{"freeze", "refuse-thaw", "?thaw"}, "disabled 'frozen' frozen enabled"},
		{"failover that fails", []string{"failover explode"}, "disabled - failover-error"},
		{"has a way back", []string{"failover explode", "failover default"}, "enabled '' enabled"},
		{"and on", []string{"failover explode", "failover site-c"}, "disabled 'failed-over' failed-over on site-c"},
		{"failover to nowhere changes nothing", []string{"failover nowhere"}, "enabled - enabled"},
		{"nor when failed over", []string{"failover site-b", "failover nowhere"}, "disabled 'failed-over' failed-over on site-b"},
		{"their thaw gives our disable back at the next change", []string{"reason maint", "freeze", "their-thaw", "freeze", "thaw"}, "disabled 'maint' enabled"},
		{"their enable wins", []string{"reason maint", "their-enable", "freeze", "thaw"}, "enabled '' enabled"},
		{"their disable is kept", []string{"their-disable why", "freeze", "thaw"}, "disabled 'why' enabled"},
		{"their freeze is thawed", []string{"their-freeze", "thaw"}, "enabled '' enabled"},
		{"their freeze over our disable", []string{"reason maint", "their-freeze", "thaw"}, "disabled 'maint' enabled"},
		{"their other reason is kept", []string{"reason maint", "their-disable other", "freeze", "thaw"}, "disabled 'other' enabled"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			s.volume(alpha, "", cinder.ReplicationEnabled)
			for _, words := range tt.do {
				words, fails := strings.CutPrefix(words, "?")
				if err := s.act(words); (err != nil) != fails {
					t.Fatalf("%s: error %v", words, err)
				}
			}
			if got := says(s.row(alpha)); got != tt.want {
				t.Errorf("after %v: %s, want %s", tt.do, got, tt.want)
			}
			if open := s.open(); len(open) != 0 {
				t.Errorf("operations left open: %+v", open)
			}
		})
	}
}

func TestEnableOfAFrozenServiceIsRefused(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	if err := s.act("freeze"); err != nil {
		t.Fatal(err)
	}
	err := s.act("enable")
	wantKind(t, err, cinder.KindInvalid)
	if msg := cinder.Message(err); !strings.Contains(msg, "frozen") || !strings.Contains(msg, alpha) {
		t.Errorf("message %q does not say that %s is frozen", msg, alpha)
	}
	if got, want := says(s.row(alpha)), "disabled 'frozen' frozen enabled"; got != want {
		t.Errorf("row %s, want %s", got, want)
	}
}

// Causes outlive the row: a service that is removed and registers again is the same.
func TestCausesAreKeptByBinaryAndHost(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	if err := s.act("reason maint"); err != nil {
		t.Fatal(err)
	}
	var causes []cinder.Cause
	err := app.Store(s.db).Update(t.Context(), func(tx control.Tx) (err error) {
		causes, err = tx.Causes(t.Context(), cinder.BinaryVolume, alpha)
		return err
	})
	if err != nil || len(causes) != 1 || causes[0].Kind != cinder.CauseAdmin || *causes[0].Reason != "maint" || causes[0].Since.IsZero() {
		t.Errorf("causes %+v, %v: want the administrator's, with reason and time", causes, err)
	}
}

// A thaw by another API of a service that the administrator had disabled gives
// that disable back, without anybody asking; other changes by others stand.
func TestDisableIsGivenBack(t *testing.T) {
	tests := []struct {
		name string
		do   []string
		want string
	}{
		{"frozen by us", []string{"reason maint", "freeze", "their-thaw"}, "disabled 'maint' enabled"},
		{"frozen by them", []string{"reason maint", "their-freeze", "look", "their-thaw"}, "disabled 'maint' enabled"},
		{"frozen by them, unseen", []string{"reason maint", "their-freeze", "their-thaw"}, "disabled 'maint' enabled"},
		{"looked at in the middle of their thaw", []string{"reason maint", "their-freeze", "look", "their-thaw-half", "look", "their-thaw"}, "disabled 'maint' enabled"},
		{"disabled by them over our freeze", []string{"freeze", "their-disable why", "look", "their-thaw"}, "disabled 'why' enabled"},
		{"given another reason by them over our freeze", []string{"reason maint", "freeze", "their-disable other", "look", "their-thaw"}, "disabled 'other' enabled"},
		{"given another reason by them over our failover", []string{"reason maint", "failover site-b", "their-disable other", "look", "their-failback"}, "disabled 'other' enabled"},
		{"disabled by them over our failover", []string{"failover site-b", "their-disable why", "look", "their-failback"}, "disabled 'why' enabled"},
		{"failed over by us, and back by them", []string{"failover site-b", "look", "their-failback"}, "enabled '' enabled"},
		{"disabled, frozen and thawed by them", []string{"their-disable why", "look", "their-freeze", "their-thaw"}, "disabled 'why' enabled"},
		{"their failover that failed is no disable", []string{"reason maint", "their-enable", "failover explode", "look", "failover default"}, "enabled '' enabled"},
		{"enabled by them", []string{"reason maint", "their-enable"}, "enabled 'maint' enabled"},
		{"disabled by nobody, in the middle of their thaw", []string{"their-freeze", "their-thaw-half", "freeze", "thaw", "their-thaw"}, "enabled '' enabled"},
		{"never disabled", []string{"freeze", "their-thaw"}, "enabled '' enabled"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			s.volume(alpha, "", cinder.ReplicationEnabled)
			look := func() { s.look(s.Control) }
			for _, words := range tt.do {
				if words == "look" {
					look()
				} else if err := s.act(words); err != nil {
					t.Fatal(err)
				}
			}
			look()
			if got := says(s.row(alpha)); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// That others have ended what disabled a service is on record, once, as nobody's
// doing: who it was is not known.
func TestDroppedCausesAreOnRecord(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	for _, words := range []string{"reason maint", "their-enable"} {
		if err := s.act(words); err != nil {
			t.Fatal(err)
		}
	}
	s.look(s.Control)
	s.look(s.Control)
	ops, err := s.db.Operations(t.Context(), cinder.OperationQuery{Kind: new("reconcile")})
	if err != nil {
		t.Fatal(err)
	}
	if len(ops) != 1 {
		t.Fatalf("%d operations of that kind, want 1: %+v", len(ops), ops)
	}
	if op := ops[0]; op.Host != alpha || op.State != cinder.OpDone || op.Caller.RequestID != "" ||
		op.Outcome != "changed from elsewhere: not disabled any more as admin" {
		t.Errorf("got %+v", op)
	}
}

// A row that is put back as it was before the disable, by SQL or from a backup,
// is no new one, though nothing in it says that it was ever disabled: it wins.
func TestRowPutBackByOthersWins(t *testing.T) {
	s := newSite(t)
	s.volume(alpha, "", cinder.ReplicationEnabled)
	s.sql(`UPDATE services SET created_at = '2020-01-01 00:00:00'`)
	if err := s.act("reason maint"); err != nil {
		t.Fatal(err)
	}
	s.sql(`UPDATE services SET disabled = FALSE, disabled_reason = NULL, modified_at = NULL`)
	s.look(s.Control)
	if got, want := says(s.row(alpha)), "enabled - enabled"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
