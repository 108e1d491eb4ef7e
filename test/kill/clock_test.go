package kill

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"stoker/internal/client"
	"stoker/internal/failpoint"
	"stoker/test/load"
)

// set changes the clock between two runs, by shifting the times in the file in the
// other direction.
func set(t *testing.T, dir string, by time.Duration) {
	t.Helper()
	db := openFile(t, dir)
	for table, columns := range map[string][]string{
		"services":          {"created_at", "updated_at", "modified_at"},
		"stoker_causes":     {"since"},
		"stoker_operations": {"lease_until", "deadline", "started_at", "settled_at"},
		"stoker_requests":   {"lease_until", "expires_at"},
	} {
		for _, column := range columns {
			shift := fmt.Sprintf("UPDATE %s SET %s = STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', %s, '%d seconds') WHERE %s IS NOT NULL",
				table, column, column, int(-by/time.Second), column)
			if _, err := db.ExecContext(t.Context(), shift); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestTheClockIsSet checks that a process takes over the operations of the previous one
// at once, whatever happened to the clock between them: the lock on the directory
// proves that it is dead. All services are up, and can be frozen and thawed.
func TestTheClockIsSet(t *testing.T) {
	t.Parallel()
	for name, by := range map[string]time.Duration{"back": -2 * time.Hour, "ahead": 2 * time.Hour, "not at all": 0} {
		for _, point := range []failpoint.Point{failpoint.Recorded, failpoint.Answered} {
			t.Run(fmt.Sprintf("%s, killed at %s", name, point), func(t *testing.T) {
				dir, points := t.TempDir(), t.TempDir()
				p := startStandalone(t, dir, "STOKER_FAILPOINTS="+points)
				if err := os.WriteFile(filepath.Join(points, string(point)), nil, 0o600); err != nil {
					t.Fatal(err)
				}
				if _, err := p.client(t).Freeze(t.Context(), client.Target{Host: "stoker@beta"}); err == nil {
					t.Fatal("a process that is to die has answered")
				}
				<-p.done
				set(t, dir, by)

				p = startStandalone(t, dir)
				c := p.client(t)
				load.Within(t, 10*time.Second, "the freeze is settled, well before its deadline", func() bool {
					ops, err := c.Operations(t.Context(), client.OperationFilter{State: "open"})
					if err != nil {
						t.Fatal(err)
					}
					return len(ops) == 0
				})
				want := map[failpoint.Point]string{failpoint.Recorded: "enabled", failpoint.Answered: "disabled"}[point]
				services, err := c.Services(t.Context(), client.ServiceFilter{})
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range services {
					if s.State != "up" {
						t.Errorf("%s on %s is %s", s.Binary, s.Host, s.State)
					}
					if s.Host == "stoker@beta" && (s.Status != want || s.Frozen == nil || *s.Frozen != (want == "disabled")) {
						t.Errorf("beta is %s, frozen %v; want it %s", s.Status, s.Frozen, want)
					}
				}
				if mode := siteMode(t, dir, "beta"); (mode&0o200 == 0) != (want == "disabled") {
					t.Errorf("the directory of beta has mode %04o, and its service is %s", mode, want)
				}
				ops, err := c.Operations(t.Context(), client.OperationFilter{State: "monitoring"})
				if err != nil {
					t.Fatal(err)
				}
				for _, op := range ops {
					if _, err := c.AbortOperation(t.Context(), op.ID); err != nil {
						t.Errorf("abort: %v", err)
					}
				}
				if want == "enabled" {
					if _, err := c.Freeze(t.Context(), client.Target{Host: "stoker@beta"}); err != nil {
						t.Errorf("freeze: %v", err)
					}
				}
				if _, err := c.Thaw(t.Context(), client.Target{Host: "stoker@beta"}); err != nil {
					t.Errorf("thaw: %v", err)
				}
			})
		}
	}
}

// siteMode is the mode of a site's directory of a standalone's backend.
func siteMode(t *testing.T, dir, name string) os.FileMode {
	t.Helper()
	info, err := os.Stat(filepath.Join(dir, "backends", name, "default"))
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}
