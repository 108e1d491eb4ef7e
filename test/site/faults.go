package site

import (
	"testing"

	"stoker/test/peers"
)

// Fault is something that is taken away for a while. End returns when it is
// there again, which is not yet when it is used again.
type Fault struct {
	Name  string
	Lists bool // are served all the same
	Plain bool // connections are lost, so that a change is refused at once
	Begin func(testing.TB)
	End   func(testing.TB)
}

// BusRestarted ends the broker and starts it again.
func (s *Site) BusRestarted() Fault {
	return Fault{"the bus is restarted", true, true, end(s.Broker.Engine), begin(s.Broker.Engine)}
}

// BusPaused stops the broker's process, whose connections stay open.
func (s *Site) BusPaused() Fault {
	return Fault{"the bus is paused", true, false, pause(s.Broker.Engine), resume(s.Broker.Engine)}
}

// BusCut closes every connection to the bus, and each new one.
func (s *Site) BusCut() Fault {
	return Fault{"every connection to the bus is cut", true, true, s.all(cutBus), s.all(restoreBus)}
}

// DatabaseRestarted ends the database server and starts it again.
func (s *Site) DatabaseRestarted() Fault {
	return Fault{"the database is restarted", false, true, end(s.Database.Engine), begin(s.Database.Engine)}
}

// DatabasePaused stops the database server, whose connections stay open.
func (s *Site) DatabasePaused() Fault {
	return Fault{"the database is paused", false, false, pause(s.Database.Engine), resume(s.Database.Engine)}
}

// DatabaseKilled ends it as a power cut does, and starts it again.
func (s *Site) DatabaseKilled() Fault {
	kill := func(tb testing.TB) { tb.Helper(); s.Database.Kill(tb) }
	return Fault{"the database is killed", false, true, kill, begin(s.Database.Engine)}
}

// DatabaseCut closes every connection to the database, and each new one.
func (s *Site) DatabaseCut() Fault {
	return Fault{"every connection to the database is cut", false, true, s.all(cutDB), s.all(restoreDB)}
}

// DatabaseSilent leaves the connections to the database open and lets nothing pass.
func (s *Site) DatabaseSilent() Fault {
	return Fault{"nothing passes to the database", false, false, s.all(func(w *Way) { w.ToDB.Stall() }), s.all(restoreDB)}
}

// ServiceKilled kills the volume service of a fleet and starts it again.
func ServiceKilled(f *Fleet) Fault {
	return Fault{
		"the volume service of " + f.Host + " is killed", true, false,
		func(tb testing.TB) { tb.Helper(); f.Service(tb, "volume").Kill(tb) },
		func(tb testing.TB) { tb.Helper(); f.Service(tb, "volume").Start(tb) },
	}
}

// ServicePaused stops the volume service of a fleet, which goes on with what it
// has in hand.
func ServicePaused(f *Fleet) Fault {
	return Fault{
		"the volume service of " + f.Host + " is paused", true, false,
		func(tb testing.TB) { tb.Helper(); f.Service(tb, "volume").Pause(tb) },
		func(tb testing.TB) { tb.Helper(); f.Service(tb, "volume").Resume(tb) },
	}
}

// APIKilled kills an API process and starts it again.
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

// Ways does something to the way of every process.
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
