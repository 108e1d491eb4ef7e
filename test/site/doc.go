// Package site is a deployment whose parts can be taken away: engines of its
// own, API processes, and fleets of services, the program's own and those of a
// real Cinder, each process with a way of its own to the database and the bus.
// Tests alone use it.
//
//	s := site.New(t, site.Options{Program: engines.Program(t)})
//	api, fleet := s.API(t, "api1"), s.Go(t, "host1")
//	before := s.Quiet(t, api)
//	l := fleet.Load(t.Context(), api)
//	f := s.BusRestarted()
//	f.Begin(t)
//	f.End(t)
//	back := fleet.Returns(t.Context(), api, time.Now())
//	report := l.End()
//	s.Settled(t, api, before)
package site
