package peers

import (
	"errors"
	"fmt"
	"os"
	"testing"
)

// Lasting returns the test as an owner of what several tests share: what it
// registers with Cleanup is done when all tests of the package have run.
func (s *Shared) Lasting(tb testing.TB) testing.TB {
	tb.Helper()
	return lasting{tb, s.whole()}
}

// lasting is a test that lives on: what is said of it after its end is said of
// the run.
type lasting struct {
	testing.TB

	shared *Shared
}

// Cleanup registers what is to be done when all tests have run.
func (l lasting) Cleanup(f func()) {
	l.shared.mu.Lock()
	defer l.shared.mu.Unlock()
	l.shared.close = append(l.shared.close, func() error {
		l.shared.late = nil
		f()
		return errors.Join(l.shared.late...)
	})
}

// Failed says whether any test has failed.
func (l lasting) Failed() bool { return l.shared.ended && l.shared.failed }

// Errorf fails the test, or the run when that has ended.
func (l lasting) Errorf(format string, args ...any) {
	l.Helper()
	if l.shared.ended {
		l.shared.late = append(l.shared.late, fmt.Errorf(format, args...))
		return
	}
	l.TB.Errorf(format, args...)
}

// Error fails the test, or the run when that has ended.
func (l lasting) Error(args ...any) {
	l.Helper()
	l.Errorf("%s", fmt.Sprint(args...))
}

// Logf writes to the test's log, or to that of the run when that has ended.
func (l lasting) Logf(format string, args ...any) {
	l.Helper()
	if l.shared.ended {
		fmt.Fprintf(os.Stderr, format+"\n", args...)
		return
	}
	l.TB.Logf(format, args...)
}

// Log writes to the test's log, or to that of the run when that has ended.
func (l lasting) Log(args ...any) {
	l.Helper()
	l.Logf("%s", fmt.Sprint(args...))
}
