package site

import (
	"regexp"
	"strings"
	"testing"
)

// carriedOut matches the log lines in which a volume service of the program reports a
// request's command.
var carriedOut = regexp.MustCompile(`msg="?(command completed|failover started)"? .*request_id=(req-[0-9a-f-]+)`)

// command matches the command in such a line.
var command = regexp.MustCompile(`command=(freeze|thaw)`)

// carried counts the commands that a fleet's volume service has carried out, by command
// and request.
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

// Once checks that no service has carried out a freeze, thaw or failover twice, by
// comparing the journal with what the fleets report. It returns how many operations it
// checked, and the freezes and thaws that are done in the journal and that no service
// reports: a killed service may not have reported its last one. A failover to the
// active site may be done without a command.
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
