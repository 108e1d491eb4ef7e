package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"stoker/internal/cinder"
)

// pageScanLimit bounds how many journal entries one page examines when several filters
// apply: no index answers their combination.
const pageScanLimit = 2000

// filter is a condition on a journal entry with an index on it, which has the journal's
// order.
type filter struct {
	column string // or an expression
	value  string
}

// padded reports whether an engine that ignores trailing spaces may match other values
// too, and so examine entries in vain.
func (f filter) padded() bool { return strings.HasSuffix(f.value, " ") }

// filters returns q's filters other than times.
func filters(d dialect, q cinder.OperationQuery) []filter {
	var found []filter
	host := "host" // one backend
	if q.Host != nil && !strings.Contains(*q.Host, "@") {
		host = d.hostName() // a host with all its backends
	}
	for _, f := range []struct {
		column string
		value  *string
	}{
		{host, q.Host},
		{"cluster_name", q.Cluster},
		{"user_id", q.UserID},
		{"kind", storedWord(q.Kind)},
		{"state", storedWord(q.State)},
		{`"binary"`, q.Binary},
	} {
		if f.value != nil {
			found = append(found, filter{f.column, *f.value})
		}
	}
	return found
}

// unindexed wraps a column so that no index on it is used: another index is the right
// one.
func unindexed(column string) string { return "COALESCE(" + column + ", '')" }

// entry is a position in the journal, which is ordered by start and id.
type entry struct {
	started time.Time
	id      string
}

// older reports whether e comes after other in a list.
func (e entry) older(other entry) bool {
	return e.started.Before(other.started) || e.started.Equal(other.started) && e.id < other.id
}

// span is a part of the journal: from the entry from, inclusive, to the entry to,
// exclusive. nil means unbounded.
type span struct{ from, to *entry }

// where is a list of conditions.
type where struct {
	text []string
	args []any
}

// and adds a condition.
func (w *where) and(condition string, args ...any) {
	w.text, w.args = append(w.text, condition), append(w.args, args...)
}

func (w *where) String() string {
	if len(w.text) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.text, " AND ")
}

// in adds the conditions for a span. Of each pair, the first bounds the index range,
// and the second decides among entries with the same start.
func (w *where) in(s span) {
	if s.from != nil {
		started := timeValue(s.from.started)
		w.and(`started_at >= ?`, started)
		w.and(`(started_at > ? OR id >= ?)`, started, s.from.id)
	}
	if s.to != nil {
		started := timeValue(s.to.started)
		w.and(`started_at <= ?`, started)
		w.and(`(started_at < ? OR id < ?)`, started, s.to.id)
	}
}

const newestFirst = ` ORDER BY started_at DESC, id DESC`

// entries selects the entries of a span that match the filter, or all when there is
// none, newest first.
func entries(lead []filter, s span) (w where, order string) {
	for _, f := range lead {
		w.and(f.column+` = ?`, f.value)
	}
	w.in(s)
	return w, newestFirst
}

// readPage reads from one index and stops at the end of the page. With several filters,
// it leads with the index of the most selective one, and applies the others to the next
// pageScanLimit of its entries.
func (db *DB) readPage(ctx context.Context, tx querier, q cinder.OperationQuery) (page cinder.OperationPage, err error) {
	if err := db.dialect.forceIndexOrder(ctx, tx); err != nil {
		return page, err
	}
	s, err := period(ctx, tx, q)
	if err != nil {
		return page, err
	}
	all := filters(db.dialect, q)
	var last *entry // the last entry to examine; nil for no limit
	if len(all) > 1 || slices.ContainsFunc(all, filter.padded) {
		if last, err = db.lead(ctx, tx, all, s); err != nil {
			return page, err
		}
	}
	if last != nil {
		s.from = last
	}
	w, order := db.dialect.entries(all[:min(1, len(all))], s)
	for _, f := range all { // including the leading one: MySQL ignores trailing spaces
		w.and(db.dialect.sameText(f.column), f.value)
	}
	query := `SELECT ` + operationColumns + ` FROM stoker_operations` + w.String() + order
	if q.Limit > 0 {
		query, w.args = query+` LIMIT ?`, append(w.args, q.Limit+1) // one more tells whether there is another page
	}
	if page.Operations, err = readOperations(ctx, tx, query, w.args...); err != nil {
		return page, err
	}
	switch {
	case q.Limit > 0 && len(page.Operations) > q.Limit:
		page.Operations = page.Operations[:q.Limit]
		page.Next = page.Operations[q.Limit-1].ID
	case last != nil:
		page.Next = last.id
	}
	return page, nil
}

// period is the span that q's since, before and marker select.
func period(ctx context.Context, tx querier, q cinder.OperationQuery) (s span, err error) {
	if !q.Since.IsZero() {
		s.from = &entry{started: q.Since}
	}
	if !q.Before.IsZero() {
		s.to = &entry{started: q.Before}
	}
	if q.Marker != "" {
		op, err := readOperation(ctx, tx, q.Marker)
		if err != nil {
			return s, err
		}
		if marker := (entry{op.StartedAt, op.ID}); s.to == nil || marker.older(*s.to) {
			s.to = &marker
		}
	}
	return s, nil
}

// lead moves the most selective filter to the front: the one whose next pageScanLimit
// entries reach back furthest. It returns the last of these; nil when there are fewer.
func (db *DB) lead(ctx context.Context, tx querier, all []filter, s span) (*entry, error) {
	var last *entry
	for i := range all {
		found, err := db.nth(ctx, tx, all[i], s)
		if err != nil {
			return nil, err
		}
		if found == nil || last == nil || found.older(*last) {
			all[0], all[i] = all[i], all[0]
			last = found
		}
		if found == nil {
			return nil, nil
		}
	}
	return last, nil
}

// nth is the position of the filter's entry number pageScanLimit; nil when there are
// fewer. The index alone answers it.
func (db *DB) nth(ctx context.Context, tx querier, f filter, s span) (*entry, error) {
	w, order := db.dialect.entries([]filter{f}, s)
	c, err := one(ctx, tx, `SELECT COALESCE(started_at, NULL), id FROM stoker_operations`+w.String()+order+` LIMIT 1 OFFSET ?`,
		append(w.args, pageScanLimit-1)...)
	if err != nil || c == nil {
		return nil, err
	}
	return &entry{c.time(), c.text()}, nil
}
