package peers

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
)

// Shared is the engines that the tests of one package share, each started
// when a test first asks for it, and the program that they test. Its zero value
// is ready.
type Shared struct {
	release Release // of the engines
	of      *Shared // whose programs these are, and who ends the engines; itself when nil

	mariadb  once[*Database]
	galera   once[*Galera]
	postgres once[*Database]
	rabbitmq once[*Broker]

	mu       sync.Mutex
	close    []func() error           // guarded by mu
	programs map[string]*once[string] // guarded by mu; by their flags
	others   map[Release]*Shared      // guarded by mu

	// What Lasting needs when all tests have run, which is when nobody else is left.
	ended, failed bool
	late          []error
}

// once is a peer that is started once, or has failed to.
type once[T any] struct {
	sync.Once
	peer T
	err  error
}

// Run is what a TestMain calls: it runs the tests, ends the engines, and
// returns the exit code.
func (s *Shared) Run(m interface{ Run() int }) int {
	code := m.Run()
	s.failed = code != 0
	if err := s.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "end of the peers:", err)
		code = max(code, 1)
	}
	return code
}

// In returns the engines of a release. They end with these.
func (s *Shared) In(r Release) *Shared {
	s = s.whole()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.others == nil {
		s.others = map[Release]*Shared{}
	}
	if s.others[r] == nil {
		s.others[r] = &Shared{release: r, of: s}
	}
	return s.others[r]
}

// Each runs a test beside each of Releases at once, as a subtest of its name.
func (s *Shared) Each(t *testing.T, test func(*testing.T, *Shared)) {
	t.Helper()
	for _, r := range Releases() {
		t.Run(string(r), func(t *testing.T) {
			t.Parallel()
			test(t, s.In(r))
		})
	}
}

// Release is where the engines come from.
func (s *Shared) Release() Release { return s.release }

// whole is what In was called of.
func (s *Shared) whole() *Shared {
	if s.of != nil {
		return s.of
	}
	return s
}

// Close ends the engines. It is for a TestMain that has more to do than Run does.
func (s *Shared) Close() error {
	s.mu.Lock()
	ends := s.close
	s.close, s.ended = nil, true
	s.mu.Unlock()
	var err error
	for _, end := range slices.Backward(ends) { // what was started last needs what was before
		err = errors.Join(err, end())
	}
	return err
}

// MariaDB returns the MariaDB of these tests.
func (s *Shared) MariaDB(tb testing.TB) *Database {
	tb.Helper()
	return shared(tb, s, &s.mariadb, startMariaDB, findMariaDB(tb, s.release))
}

// Postgres returns the PostgreSQL of these tests.
func (s *Shared) Postgres(tb testing.TB) *Database {
	tb.Helper()
	return shared(tb, s, &s.postgres, startPostgres, findPostgres(tb))
}

// RabbitMQ returns the RabbitMQ of these tests.
func (s *Shared) RabbitMQ(tb testing.TB) *Broker {
	tb.Helper()
	return shared(tb, s, &s.rabbitmq, startRabbitMQ, findRabbitMQ(tb, s.release))
}

func shared[T interface{ close() error }, P any](tb testing.TB, s *Shared, o *once[T], start func(P) (T, error), programs P) T {
	tb.Helper()
	o.Do(func() {
		if o.peer, o.err = start(programs); o.err == nil {
			all := s.whole()
			all.mu.Lock()
			defer all.mu.Unlock()
			all.close = append(all.close, o.peer.close)
		}
	})
	if o.err != nil {
		tb.Fatal(o.err)
	}
	return o.peer
}
