package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
	"stoker/internal/store"
)

// journalPages compares pages with a check of each entry, over more entries than one
// page examines.
func journalPages(t *testing.T, create func(testing.TB) Database) {
	t.Helper()
	db := create(t).Open(t)
	const entries = 5000
	all := make([]cinder.Operation, entries) // newest first
	random := rand.New(rand.NewPCG(1, 2))    //nolint:gosec // The same each time.
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	for i := range all {
		op := cinder.Operation{
			ID: fmt.Sprintf("%05d", entries-i), StartedAt: at(0, 0).Add(time.Duration(entries-i) / 3 * time.Second), // three per second
			Host: pick("h", "h@b", "h@c", "hh", "H@b", "", "i@b"), Cluster: pick("", "", "", "c@b"), Binary: pick("cinder-volume", "cinder-volume", "cinder-backup"),
			Kind: cinder.OperationKind(pick("enable", "enable", "disable", "freeze")), State: cinder.OperationState(pick("done", "done", "rolled-back", "open")),
		}
		op.Caller.UserID = pick("ann", "ann", "bob")
		if i > entries/2 && op.Kind == "freeze" { // filters that match only old entries
			op.State = "failed"
		}
		all[i] = op
	}
	for chunk := range slices.Chunk(all, 500) {
		update(t, db, func(tx *store.Tx) error {
			for _, op := range chunk {
				if err := tx.AddOperation(t.Context(), op); err != nil {
					return err
				}
			}
			return nil
		})
	}
	value := func(of ...string) *string {
		if random.IntN(2) == 0 {
			return nil
		}
		return new(pick(of...))
	}
	for range 150 {
		q := cinder.OperationQuery{
			Host: value("h", "h@b", "hh", "none"), Cluster: value("", "c@b"), Binary: value("cinder-volume", "cinder-backup"), Kind: value("enable", "freeze", "none"),
			State: value("done", "failed", "open"), UserID: value("ann", "bob"), Limit: 1 + random.IntN(700),
		}
		if random.IntN(2) == 0 {
			q.Since = all[random.IntN(entries)].StartedAt
		}
		if random.IntN(2) == 0 {
			q.Before = all[random.IntN(entries)].StartedAt
		}
		want := slices.DeleteFunc(slices.Clone(all), func(op cinder.Operation) bool { return !selects(q, op) })
		first := q
		for pages, again := 0, true; again; pages++ {
			page, err := db.OperationPage(t.Context(), q)
			n := min(len(page.Operations), len(want))
			if diff := cmp.Diff(ids(want[:n]), ids(page.Operations)); err != nil || diff != "" || len(page.Operations) > q.Limit || pages > entries {
				t.Fatalf("page %d of %+v: error %v, %d operations (-want +got):\n%s", pages, first, err, len(page.Operations), diff)
			}
			want, q.Marker, again = want[n:], page.Next, page.Next != ""
		}
		if len(want) > 0 {
			t.Fatalf("%+v: no page has %v", first, ids(want))
		}
	}
}

func ids(ops []cinder.Operation) []string {
	found := []string{}
	for _, op := range ops {
		found = append(found, op.ID)
	}
	return found
}

// selects reports whether an operation matches all filters.
func selects(q cinder.OperationQuery, op cinder.Operation) bool {
	is := func(want *string, got string) bool { return want == nil || *want == got }
	return (is(q.Host, op.Host) || strings.HasPrefix(op.Host, *q.Host+"@")) && is(q.Cluster, op.Cluster) && is(q.Binary, op.Binary) &&
		is(q.Kind, string(op.Kind)) && is(q.State, string(op.State)) && is(q.UserID, op.Caller.UserID) &&
		(q.Since.IsZero() || !op.StartedAt.Before(q.Since)) && (q.Before.IsZero() || op.StartedAt.Before(q.Before))
}
