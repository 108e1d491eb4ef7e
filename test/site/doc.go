// Package site is a deployment for tests whose every part can be taken away: its own
// engines, API processes, and fleets of services, the program's own and a real
// Cinder's. Each process reaches the database and the bus through its own proxies.
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
