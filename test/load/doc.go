// Package load is what tests of the built program under load have in common:
// administrators who ask an API for everything all the time, and what has to be
// so in the end. Tests alone use it.
//
//	l := load.Start(t.Context(), c.URL, load.Options{Clients: load.Administrators("host1", load.Go)})
//	... something is taken away, and comes back ...
//	report := l.End()
//	for _, w := range report.Wrong { t.Error(w) }
//	load.Whole(t, db)
//
// An answer is wrong when it is none that there may be whatever is away (see
// Options.Permit), or when it comes after the deadline.
package load
