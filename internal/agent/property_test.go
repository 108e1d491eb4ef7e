package agent

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"

	"stoker/internal/cinder"
)

// invariants checks what must hold after each command, whatever was sent, in whatever
// order, and whatever failed.
func invariants(row cinder.Service) error {
	reason := value(row.DisabledReason)
	over := row.ReplicationStatus == cinder.ReplicationFailedOver
	switch {
	case row.ReplicationStatus == cinder.ReplicationFailingOver:
		return fmt.Errorf("still failing over, and nobody is at it")
	case over != (value(row.ActiveBackendID) != "") && row.ReplicationStatus != cinder.ReplicationFailoverError:
		return fmt.Errorf("status %s on %q", row.ReplicationStatus, value(row.ActiveBackendID))
	case reason == cinder.ReasonFrozen && !row.Frozen:
		return fmt.Errorf("disabled for a freeze that is over")
	case reason == cinder.ReasonFailedOver && row.ReplicationStatus == cinder.ReplicationEnabled:
		return fmt.Errorf("disabled for a failover that is over")
	case over && !row.Disabled, row.Frozen && !row.Disabled:
		return fmt.Errorf("enabled while frozen or failed over")
	case !row.Disabled && reason != "":
		return fmt.Errorf("enabled for a reason: %s", reason)
	}
	return nil
}

func TestInvariants(t *testing.T) {
	commands := []string{
		"freeze", "thaw", "failover", "failover site-b", "failover site-c", "failover default", "failover nowhere",
		"fail freeze", "fail thaw", "fail failover", "refuse thaw", "refuse failover",
		"heal freeze", "heal thaw", "heal failover", "heal thaw", "heal failover", "restart",
	}
	for seed := range uint64(300) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			s := newSite(t).start()
			var done []string
			for range 30 {
				command := commands[random.IntN(len(commands))]
				done = append(done, command)
				frozen := s.rows.row(t, alpha).Frozen
				if command == "restart" {
					s.stop()
					s = s.again().start()
				} else if err := s.do(command); err != nil && (command == "freeze" || command == "thaw") {
					// The sender takes its mark back.
					s.rows.edit(t, alpha, func(r *cinder.Service) { r.Frozen = frozen })
				}
				row, backend := s.rows.row(t, alpha), s.array.is()
				if err := invariants(row); err != nil {
					t.Fatalf("seed %d, after %s: %v\nrow: %s", seed, strings.Join(done, ", "), err, describe(row))
				}
				if backend.Active != value(row.ActiveBackendID) || backend.Frozen != row.Frozen {
					t.Fatalf("seed %d, after %s: the backend is %+v\nrow: %s", seed, strings.Join(done, ", "), backend, describe(row))
				}
			}
		})
	}
}
