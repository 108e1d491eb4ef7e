package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
)

var update = flag.Bool("update", false, "rewrite golden files")

// TestReconcile enumerates every state of a service's row and of the causes on record for it. The
// golden file has what reconcile makes of each. Two rules hold of all of them: reconciling twice
// changes no more than reconciling once, and a service that is reconciled is left alone from then on.
func TestReconcile(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	records := possibleRecords(since)
	var table bytes.Buffer
	legend := map[string]string{}
	for _, row := range possibleRows(since) {
		table.WriteString(rowWords(&row))
		for _, causes := range records {
			s := &Record{Row: row, Causes: slices.Clone(causes)}
			taken := s.Contradicted()
			s.Reconcile()
			once := Record{Row: s.Row, Causes: slices.Clone(s.Causes)}
			s.Reconcile()
			if again := difference(&once, s); again != "nothing" {
				t.Errorf("%s, on record: %s: reconciling it a second time changes %s", rowWords(&row), recordWords(causes), again)
			}
			if once.Contradicted() {
				t.Errorf("%s, on record: %s: is taken up again at each look", rowWords(&row), recordWords(causes))
			}
			change := difference(&Record{Row: row, Causes: causes}, &once)
			code := codeOf(change)
			if legend[code] != "" && legend[code] != change {
				t.Fatalf("%q and %q have the same code %s: make it longer", legend[code], change, code)
			}
			legend[code] = change
			if taken {
				code += "*"
			}
			fmt.Fprintf(&table, " %-4s", code)
		}
		table.WriteByte('\n')
	}
	compareGolden(t, filepath.Join("testdata", "reconcile.txt"), goldenText(records, legend, table.String()))
}

// possibleRows are the states of a row that reconcile can tell apart.
func possibleRows(since time.Time) []cinder.Service {
	var all []cinder.Service
	for _, cluster := range []string{"", "cluster"} {
		for _, recreated := range []bool{false, true} {
			for _, status := range []cinder.ReplicationStatus{
				cinder.ReplicationDisabled, cinder.ReplicationEnabled, cinder.ReplicationFailingOver, cinder.ReplicationFailedOver, cinder.ReplicationFailoverError,
			} {
				for i := range 3 * 2 * 2 * 5 {
					row := cinder.Service{
						ID: 1, Binary: cinder.BinaryVolume, Host: "host@lvm", Cluster: cluster, ReplicationStatus: status,
						ActiveBackendID: []*string{nil, new(""), new("site-b")}[i/20],
						Frozen:          i/10%2 == 1,
						Disabled:        i/5%2 == 1,
						DisabledReason:  []*string{nil, new(""), new("words"), new(cinder.ReasonFrozen), new(cinder.ReasonFailedOver)}[i%5],
						CreatedAt:       since.Add(-time.Hour), ModifiedAt: since,
					}
					if recreated {
						row.CreatedAt, row.ModifiedAt = since.Add(time.Hour), time.Time{}
					}
					all = append(all, row)
				}
			}
		}
	}
	return all
}

// possibleRecords are the sets of causes that may be on record for one service. Of an administrator's
// reasons "words" is what the row may say, too, and "other" is not.
func possibleRecords(since time.Time) [][]cinder.Cause {
	var all [][]cinder.Cause
	for _, admin := range []*string{new("none"), nil, new(""), new("words"), new("other")} {
		for _, frozen := range []bool{false, true} {
			for _, over := range []*string{new("none"), new(cinder.ReasonFailedOver), new(""), new("words")} {
				var causes []cinder.Cause
				if !Equal(admin, new("none")) {
					causes = append(causes, cinder.Cause{Kind: cinder.CauseAdmin, Reason: admin, Since: since})
				}
				if frozen {
					causes = append(causes, cinder.Cause{Kind: cinder.CauseFrozen, Reason: new(cinder.ReasonFrozen), Since: since})
				}
				if !Equal(over, new("none")) {
					causes = append(causes, cinder.Cause{Kind: cinder.CauseFailedOver, Reason: over, Since: since})
				}
				all = append(all, causes)
			}
		}
	}
	return all
}

// difference says in words what has changed from one state to the other.
func difference(from, to *Record) string {
	var changes []string
	a, b := &from.Row, &to.Row
	if a.Disabled != b.Disabled {
		changes = append(changes, fmt.Sprintf("row: disabled=%v", b.Disabled))
	}
	if !Equal(a.DisabledReason, b.DisabledReason) {
		changes = append(changes, "row: reason="+sqlText(b.DisabledReason))
	}
	if a.Frozen != b.Frozen {
		changes = append(changes, fmt.Sprintf("row: frozen=%v", b.Frozen))
	}
	if a.ReplicationStatus != b.ReplicationStatus {
		changes = append(changes, "row: "+string(b.ReplicationStatus))
	}
	for _, kind := range []cinder.CauseKind{cinder.CauseAdmin, cinder.CauseFrozen, cinder.CauseFailedOver} {
		had, has := from.Cause(kind), to.Cause(kind)
		switch {
		case had != nil && has == nil:
			changes = append(changes, "-"+string(kind))
		case had == nil && has != nil, had != nil && !Equal(had.Reason, has.Reason):
			changes = append(changes, fmt.Sprintf("+%s=%s", kind, sqlText(has.Reason)))
		}
	}
	if len(changes) == 0 {
		return "nothing"
	}
	return strings.Join(changes, " ")
}

func rowWords(r *cinder.Service) string {
	words := []string{"alone", "enabled", sqlText(r.DisabledReason), "thawed", string(r.ReplicationStatus), sqlText(r.ActiveBackendID), "kept"}
	if r.Cluster != "" {
		words[0] = "member"
	}
	if r.Disabled {
		words[1] = "disabled"
	}
	if r.Frozen {
		words[3] = "frozen"
	}
	if r.ModifiedAt.IsZero() {
		words[6] = "recreated"
	}
	return fmt.Sprintf("%-6s %-8s %-11s %-6s %-14s %-6s %-9s", words[0], words[1], words[2], words[3], words[4], words[5], words[6])
}

func recordWords(causes []cinder.Cause) string {
	var words []string
	for _, c := range causes {
		words = append(words, fmt.Sprintf("%s=%s", c.Kind, sqlText(c.Reason)))
	}
	return strings.Join(words, " ")
}

// sqlText tells NULL from the empty text.
func sqlText(text *string) string {
	switch {
	case text == nil:
		return "NULL"
	case *text == "":
		return "''"
	default:
		return *text
	}
}

// codeOf is a short name for a change, which stays the same when others come or go.
func codeOf(change string) string {
	if change == "nothing" {
		return "."
	}
	sum := sha256.Sum256([]byte(change))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:3])
}

func goldenText(records [][]cinder.Cause, legend map[string]string, table string) string {
	var b strings.Builder
	b.WriteString("What reconcile changes: a line for each state of a row, a column for each record.\n")
	b.WriteString("A star: a look at the fleet reconciles the service, without waiting for a change of it.\n\nThe columns:\n")
	for i, causes := range records {
		fmt.Fprintf(&b, "%3d %s\n", i+1, recordWords(causes))
	}
	b.WriteString("\nThe changes:\n")
	for _, code := range slices.SortedFunc(maps.Keys(legend), func(x, y string) int { return strings.Compare(legend[x], legend[y]) }) {
		fmt.Fprintf(&b, "%-3s %s\n", code, legend[code])
	}
	b.WriteString("\nThe rows:\n")
	for line := range strings.Lines(table) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return b.String()
}

func compareGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path) //nolint:gosec // Of this package's own testdata.
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s is not what reconcile does (-file +now; -update rewrites it):\n%s", path, diff)
	}
}
