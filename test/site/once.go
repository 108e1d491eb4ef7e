package site

import (
	"regexp"
	"strings"
	"testing"
)

// carriedOut are the lines in which a volume service of the program says that it
// has done what a request asked for.
var carriedOut = regexp.MustCompile(`msg="?(Command carried out\.|Failing over\.)"? .*request_id=(req-[0-9a-f-]+)`)

// command is the command in such a line.
var command = regexp.MustCompile(`command=(freeze|thaw)`)

// carried counts by command and request what the volume service of a fleet has done.
func (f *Fleet) carried(tb testing.TB, done map[string]int) {
	tb.Helper()
	if f.Python {
		for _, backend := range backends() {
			for _, what := range f.Requests(tb, backend) {
				done[what]++
			}
		}
		return
	}
	for line := range strings.Lines(f.Log(tb, "volume")) {
		m := carriedOut.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		what := "failover"
		if c := command.FindStringSubmatch(line); c != nil {
			what = c[1]
		}
		done[what+" "+m[2]]++
	}
}

// Once checks that no freeze, thaw or failover was carried out twice by a service:
// the journal is compared with what the fleets say that they have done. It returns
// how many were looked at, and the freezes and thaws that were done by the journal
// and by no service: of one that was killed the last may be missing. A failover to
// where the backend is already may be done without it.
func (s *Site) Once(tb testing.TB, fleets ...*Fleet) (looked int, missing []string) {
	tb.Helper()
	done, names := map[string]int{}, map[string]bool{} // by command and request; of hosts and clusters
	for _, f := range fleets {
		names[f.Host], names[f.Cluster] = true, true
		f.carried(tb, done)
	}
	rows, err := s.DB.QueryContext(tb.Context(), "SELECT kind, request_id, state, CASE WHEN host = '' THEN cluster_name ELSE host END"+
		" FROM stoker_operations WHERE kind IN ('freeze', 'thaw', 'failover')")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var kind, request, state, target string
		if err := rows.Scan(&kind, &request, &state, &target); err != nil {
			tb.Fatal(err)
		}
		if name, _, _ := strings.Cut(target, "@"); !names[name] {
			continue
		}
		looked++
		switch n := done[kind+" "+request]; {
		case n > 1:
			tb.Errorf("%s of %s (%s) was carried out %d times", kind, target, request, n)
		case n == 0 && state == "done" && kind != "failover":
			missing = append(missing, kind+" of "+target+" ("+request+")")
		}
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	return looked, missing
}
