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

// Once checks that no freeze, thaw or failover was carried out twice by a service:
// the journal is compared with what the fleets, of the program's own services,
// have logged. It returns how many were looked at, and the freezes and thaws that
// were done by the journal and by no service: of one that was killed the last may
// be missing. A failover to where the backend is already may be done without it.
func (s *Site) Once(tb testing.TB, fleets ...*Fleet) (looked int, missing []string) {
	tb.Helper()
	done, hosts := map[string]int{}, map[string]bool{} // by command and request
	for _, f := range fleets {
		hosts[f.Host] = true
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
	rows, err := s.DB.QueryContext(tb.Context(), "SELECT kind, request_id, state, host FROM stoker_operations WHERE kind IN ('freeze', 'thaw', 'failover')")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var kind, request, state, host string
		if err := rows.Scan(&kind, &request, &state, &host); err != nil {
			tb.Fatal(err)
		}
		if name, _, _ := strings.Cut(host, "@"); !hosts[name] {
			continue
		}
		looked++
		switch n := done[kind+" "+request]; {
		case n > 1:
			tb.Errorf("%s of %s (%s) was carried out %d times", kind, host, request, n)
		case n == 0 && state == "done" && kind != "failover":
			missing = append(missing, kind+" of "+host+" ("+request+")")
		}
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	return looked, missing
}
