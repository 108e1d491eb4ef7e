package site

import (
	"testing"

	"stoker/test/peers"
)

// Fault takes something away for a while. End returns once it is back, although others
// may not use it yet.
type Fault struct {
	Name  string
	Lists bool // are still served
	Plain bool // connections are lost, so that changes are refused at once
	Begin func(testing.TB)
	End   func(testing.TB)
}

// BusRestarted stops and restarts the broker.
func (s *Site) BusRestarted() Fault {
	return Fault{"the bus is restarted", true, true, end(s.Broker.Engine), begin(s.Broker.Engine)}
}

// BusPaused pauses the broker's process; its connections stay open.
func (s *Site) BusPaused() Fault {
	return Fault{"the bus is paused", true, false, pause(s.Broker.Engine), resume(s.Broker.Engine)}
}

// BusCut closes every connection to the bus, including new ones.
func (s *Site) BusCut() Fault {
	return Fault{"every connection to the bus is cut", true, true, s.all(cutBus), s.all(restoreBus)}
}

// DatabaseRestarted stops and restarts the database server.
func (s *Site) DatabaseRestarted() Fault {
	return Fault{"the database is restarted", false, true, end(s.Database.Engine), begin(s.Database.Engine)}
}

// DatabasePaused pauses the database server; its connections stay open.
func (s *Site) DatabasePaused() Fault {
	return Fault{"the database is paused", false, false, pause(s.Database.Engine), resume(s.Database.Engine)}
}

// DatabaseKilled kills the database server, like a power cut, and restarts it.
func (s *Site) DatabaseKilled() Fault {
	kill := func(tb testing.TB) { tb.Helper(); s.Database.Kill(tb) }
	return Fault{"the database is killed", false, true, kill, begin(s.Database.Engine)}
}

// DatabaseCut closes every connection to the database, including new ones.
func (s *Site) DatabaseCut() Fault {
	return Fault{"every connection to the database is cut", false, true, s.all(cutDB), s.all(restoreDB)}
}

// DatabaseSilent keeps the connections to the database open and lets nothing through.
func (s *Site) DatabaseSilent() Fault {
	return Fault{"nothing passes to the database", false, false, s.all(func(w *Way) { w.ToDB.Stall() }), s.all(restoreDB)}
}

// ServiceKilled kills and restarts the volume service of a fleet.
func ServiceKilled(f *Fleet) Fault {
	return Fault{
		"the volume service of " + f.Host + " is killed", true, false,
		func(tb testing.TB) { tb.Helper(); f.Service(tb, "volume").Kill(tb) },
		func(tb testing.TB) { tb.Helper(); f.Service(tb, "volume").Start(tb) },
	}
}

// ServicePaused pauses the volume service of a fleet, which then continues with its
// pending work.
func ServicePaused(f *Fleet) Fault {
	return Fault{
		"the volume service of " + f.Host + " is paused", true, false,
		func(tb testing.TB) { tb.Helper(); f.Service(tb, "volume").Pause(tb) },
		func(tb testing.TB) { tb.Helper(); f.Service(tb, "volume").Resume(tb) },
	}
}

// APIKilled kills and restarts an API process.
func APIKilled(p *Process) Fault {
	return Fault{
		"an API process is killed", false, false,
		func(tb testing.TB) { tb.Helper(); p.Service(tb, "api").Kill(tb) },
		func(tb testing.TB) { tb.Helper(); p.Service(tb, "api").Start(tb) },
	}
}

func cutBus(w *Way)     { w.ToBus.Cut() }
func restoreBus(w *Way) { w.ToBus.Restore() }
func cutDB(w *Way)      { w.ToDB.Cut() }
func restoreDB(w *Way)  { w.ToDB.Restore() }

// Ways applies do to every process's connections.
func (s *Site) Ways(do func(*Way)) {
	for _, p := range s.processes {
		do(&p.Way)
	}
}

func (s *Site) all(do func(*Way)) func(testing.TB) {
	return func(testing.TB) { s.Ways(do) }
}

func end(e *peers.Engine) func(testing.TB) {
	return func(tb testing.TB) { tb.Helper(); e.Stop(tb) }
}

func begin(e *peers.Engine) func(testing.TB) {
	return func(tb testing.TB) { tb.Helper(); e.Start(tb) }
}

func pause(e *peers.Engine) func(testing.TB) {
	return func(tb testing.TB) { tb.Helper(); e.Pause(tb) }
}

func resume(e *peers.Engine) func(testing.TB) {
	return func(tb testing.TB) { tb.Helper(); e.Resume(tb) }
}
