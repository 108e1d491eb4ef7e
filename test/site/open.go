package site

import (
	"strings"
	"testing"
)

// tellOfOpen prints what every process has logged about open operations.
func (s *Site) tellOfOpen(tb testing.TB) {
	tb.Helper()
	rows, err := s.DB.QueryContext(tb.Context(), "SELECT id, request_id, kind, host, detail, started_at FROM stoker_operations WHERE state = 'open'")
	if err != nil {
		tb.Error(err)
		return
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, request, kind, host, detail, started string
		if err := rows.Scan(&id, &request, &kind, &host, &detail, &started); err != nil {
			tb.Error(err)
			return
		}
		var lines []string
		for _, p := range s.processes {
			for name, log := range p.Logs(tb) {
				for line := range strings.Lines(log) {
					if strings.Contains(line, request) || strings.Contains(line, id) && !strings.Contains(line, "status=409") {
						lines = append(lines, name+": "+line)
					}
				}
			}
		}
		tb.Logf("open: %s of %s (%s), begun %s, operation %s:\n%s", kind, host, detail, started, id, strings.Join(lines, ""))
	}
	if err := rows.Err(); err != nil {
		tb.Error(err)
	}
}
