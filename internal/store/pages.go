package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"stoker/internal/cinder"
)

// pageLook is how many entries of the journal one page looks at where several
// filters are to be met: what no index can answer is answered in pieces.
const pageLook = 2000

// filter is a condition on an entry of the journal that an index serves, in the
// order in which the journal is listed.
type filter struct {
	column string // or an expression
	value  string
}

// padded says whether an engine may take the filter for another one, without the
// spaces at its end, and so look at entries in vain.
func (f filter) padded() bool { return strings.HasSuffix(f.value, " ") }

// filters are those of q but for times.
func filters(d dialect, q cinder.OperationQuery) []filter {
	var found []filter
	host := "host" // a backend
	if q.Host != nil && !strings.Contains(*q.Host, "@") {
		host = d.hostName() // a host, with all its backends
	}
	for _, f := range []struct {
		column string
		value  *string
	}{
		{host, q.Host},
		{"cluster_name", q.Cluster},
		{"user_id", q.UserID},
		{"kind", q.Kind},
		{"state", q.State},
		{`"binary"`, q.Binary},
	} {
		if f.value != nil {
			found = append(found, filter{f.column, *f.value})
		}
	}
	return found
}

// unindexed is a column in words that no index is used for: another one leads.
func unindexed(column string) string { return "COALESCE(" + column + ", '')" }

// entry is a place in the order of the journal, which is that of start and id.
type entry struct {
	started time.Time
	id      string
}

// older says whether e is behind other in a list.
func (e entry) older(other entry) bool {
	return e.started.Before(other.started) || e.started.Equal(other.started) && e.id < other.id
}

// span is a part of the journal: before the entry to, from the entry from on; nil
// where it has no end.
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

// in adds that an entry is in the span. The first of two conditions is where an
// index is entered and left, the second is about entries of that very moment.
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

// entries selects those in a span that a filter lets through, or all when there is
// none, and is followed by an order: the newest first.
func entries(lead []filter, s span) (w where, order string) {
	for _, f := range lead {
		w.and(f.column+` = ?`, f.value)
	}
	w.in(s)
	return w, newestFirst
}

// readPage reads from one index and stops at the end of the page. Where q has
// several filters, the one that the fewest entries meet leads, and the others are
// looked for in the next pageLook of its entries.
func (db *DB) readPage(ctx context.Context, tx querier, q cinder.OperationQuery) (page cinder.OperationPage, err error) {
	if err := db.dialect.walk(ctx, tx); err != nil {
		return page, err
	}
	s, err := period(ctx, tx, q)
	if err != nil {
		return page, err
	}
	all := filters(db.dialect, q)
	var last *entry // of those that are looked at; nil for all there are
	if len(all) > 1 || slices.ContainsFunc(all, filter.padded) {
		if last, err = db.lead(ctx, tx, all, s); err != nil {
			return page, err
		}
	}
	if last != nil {
		s.from = last
	}
	w, order := db.dialect.entries(all[:min(1, len(all))], s)
	for _, f := range all { // the one that leads, too: MySQL ignores spaces at the end
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

// period is the part of the journal that q is about: since and before, and behind
// its marker.
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

// lead puts the filter first whose next pageLook entries reach back the furthest,
// and returns the last of these; nil when it has no more than that.
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

// nth is the place of the filter's entry number pageLook; nil when it has not so
// many. It is found in an index alone.
func (db *DB) nth(ctx context.Context, tx querier, f filter, s span) (*entry, error) {
	w, order := db.dialect.entries([]filter{f}, s)
	c, err := one(ctx, tx, `SELECT COALESCE(started_at, NULL), id FROM stoker_operations`+w.String()+order+` LIMIT 1 OFFSET ?`,
		append(w.args, pageLook-1)...)
	if err != nil || c == nil {
		return nil, err
	}
	return &entry{c.time(), c.text()}, nil
}
