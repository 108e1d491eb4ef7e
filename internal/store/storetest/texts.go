package storetest

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"stoker/internal/cinder"
	"stoker/internal/store"
)

// OddText is a text of a class that engines, charsets or collations treat differently.
type OddText struct{ Class, Text string }

// OddTexts returns a text of every such class. Not all are valid UTF-8.
func OddTexts() []OddText {
	return []OddText{
		{"four bytes", "\U0001F600"},
		{"four bytes after a name", "host1\U0001F600"},
		{"the last code point", "\U0010FFFF"},
		{"tag characters", "a\U000E0041\U000E007F"},
		{"three bytes", "中文"},
		{"the euro sign, which latin1 has at another place", "€"},
		{"a combining mark", "ho\u0308st"},
		{"an accent", "hóst1@alpha"},
		{"full width", "ｈｏｓｔ１"},
		{"a sharp s, which collations take for two", "straße"},
		{"a dotless i", "\u0131\u0130"},
		{"capitals", "HOST1@ALPHA"},
		{"a trailing space", "host1@alpha "},
		{"a leading space", " host1@alpha"},
		{"a no-break space", "host1@alpha\u00a0"},
		{"a trailing tab and newline", "host1@alpha\t\n"},
		{"only spaces", "   "},
		{"C0 controls", "a\x01\x08\x0b\x1b[2J\x1f\x7f"},
		{"C1 controls", "a\u0080\u0085\u009b2J\u009f"},
		{"U+0000", "a\x00b"},
		{"U+0000 behind a name", "host1@alpha\x00"},
		{"a byte order mark", "\ufeffhost1@alpha"},
		{"non-characters", "\uffff\ufffe\ufdd0\U0001FFFE"},
		{"bidirectional overrides", "\u202ehost1\u202c\u2066x\u2069\u200f"},
		{"nothing wide", "host1\u200b@\u200dalpha\u2060"},
		{"a replacement character", "\ufffd"},
		{"private use", "\ue000\U000F0000"},
		{"half a surrogate pair", "\xed\xa0\x80"},
		{"the other half", "a\xed\xb0\x80"},
		{"no UTF-8", "a\xff\xfe"},
		{"an overlong slash", "\xc0\xaf"},
		{"half a character", "host1\xf0\x9f"},
		{"latin1", "h\xf6st"},
		{"beyond the last code point", "\xf4\x90\x80\x80"},
		{"a backslash", `host1@alpha\`},
		{"quotes", "host1'\"`"},
		{"a quote behind a backslash", `\' OR 1=1 -- `},
		{"a comment", "host1@alpha'/*"},
		{"a parameter's mark", "host1?@alpha$1:name%s"},
		{"LIKE's wildcards", "host_@%"},
		{"patterns", "[a-z]*.+^$(|)"},
		{"at signs", "@@host1@@"},
		{"a path", "../../../etc/x"},
		{"a path's beginning", "/"},
		{"this directory", "."},
		{"a pool", "host1@alpha#pool"},
		{"longer than a column", strings.Repeat("x", 256)},
		{"longer than a column, of four bytes", strings.Repeat("\U0001F600", 256)},
		{"as long as a column, of three bytes", strings.Repeat("中", 255)},
		{"long", strings.Repeat("host1@alpha", 1000)},
		{"a long number", strings.Repeat("9", 400)},
		{"a number", "0"},
		{"a number with an exponent", "1e999"},
		{"a number in another script", "١٢٣"},
		{"a word of SQL", "NULL"},
		{"a boolean", "true"},
		{"JSON", `{"host": null}`},
		{"nothing", ""},
	}
}

// Texts queries and writes every odd text. Each matches only itself, byte for byte, is
// saved unchanged or refused with KindInvalid, and never causes an internal error.
func Texts(t *testing.T, create func(testing.TB) Database) {
	t.Helper()
	d := create(t)
	db := d.Open(t)
	register(t, db, clustered("host1@alpha", "cluster1@alpha"))
	register(t, db, volume("other"))
	op := operation()
	op.Host, op.Cluster, op.Binary, op.Caller.UserID = "host1@alpha", "host1@alpha", "host1@alpha", "host1@alpha"
	update(t, db, func(tx *store.Tx) error { return tx.AddOperation(t.Context(), op) })
	for _, odd := range OddTexts() {
		t.Run(odd.Class, func(t *testing.T) {
			if odd.Text != "" { // "" stands for NULL, or for any
				findsNothing(t, db, odd.Text)
			}
			savedOrRefused(t, db, odd.Text)
		})
	}
}

// findsNothing queries missing things by every name that a caller may give.
func findsNothing(t *testing.T, db *store.DB, text string) {
	t.Helper()
	ctx := t.Context()
	none := func(what string, found int, err error) {
		t.Helper()
		// A text that no database can store may be refused: nothing has that name.
		ok := err == nil || !utf8.ValidString(text) || strings.Contains(text, "\x00")
		if kind := cinder.KindOf(err); !ok || err != nil && kind != cinder.KindInvalid && kind != cinder.KindNotFound {
			t.Errorf("%s: %v, of kind %v", what, err, kind)
		}
		if found != 0 {
			t.Errorf("%s: found %d, want none", what, found)
		}
	}
	for what, q := range map[string]cinder.ServiceQuery{
		"services by host": {Host: &text}, "services by binary": {Binary: &text, Host: new("host1@alpha")}, "services by cluster": {Cluster: &text},
	} {
		v, err := db.View(ctx, q)
		if err == nil {
			none(what, len(v.Services), nil)
		} else {
			none(what, 0, err)
		}
		var services []cinder.Service
		err = db.Update(ctx, func(tx *store.Tx) (err error) {
			services, err = tx.Services(ctx, q)
			return err
		})
		none(what+" in a change", len(services), err)
	}
	for what, q := range map[string]cinder.ClusterQuery{
		"clusters by name": {Name: &text}, "clusters by binary": {Binary: &text},
		"clusters by status": {ReplicationStatus: &text}, "clusters by site": {ActiveBackendID: &text},
	} {
		v, err := db.Clusters(ctx, q)
		if err != nil {
			none(what, 0, err)
			continue
		}
		none(what, len(slices.DeleteFunc(v.Clusters, func(c cinder.Cluster) bool { return !q.Matches(&c) })), nil)
	}
	err := db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Cluster(ctx, text, cinder.BinaryVolume)
		return err
	})
	if kind := cinder.KindOf(err); kind != cinder.KindNotFound && kind != cinder.KindInvalid {
		t.Errorf("cluster of that name: %v, of kind %v", err, kind)
	}
	for what, q := range map[string]cinder.OperationQuery{
		"operations of a host": {Host: &text}, "operations of a cluster": {Cluster: &text}, "operations of a binary": {Binary: &text},
		"operations of a kind": {Kind: &text}, "operations in a state": {State: &text}, "operations of a user": {UserID: &text},
	} {
		ops, err := db.Operations(ctx, q)
		none(what, len(ops), err)
	}
	for what, read := range map[string]func() error{
		"operation":      func() error { _, err := db.Operation(ctx, text); return err },
		"page behind it": func() error { _, err := db.Operations(ctx, cinder.OperationQuery{Marker: text}); return err },
	} {
		if kind := cinder.KindOf(read()); kind != cinder.KindNotFound && kind != cinder.KindInvalid {
			t.Errorf("%s: %v, of kind %v", what, read(), kind)
		}
	}
	for what, owner := range map[string]cinder.Owner{"a host": {Host: text}, "a cluster": {Host: "h", Cluster: text}} {
		volumes, err := db.Volumes(ctx, owner, false, "", 10)
		none("volumes of "+what, len(volumes), err)
		groups, err := db.Groups(ctx, owner)
		none("groups of "+what, len(groups), err)
	}
}

// savedOrRefused writes the text wherever a caller's text may go.
func savedOrRefused(t *testing.T, db *store.DB, text string) {
	t.Helper()
	ctx := t.Context()
	was := view(t, db, cinder.ServiceQuery{Host: new("host1@alpha")})[0]
	now := was
	now.DisabledReason, now.ActiveBackendID = &text, &text
	err := db.Update(ctx, func(tx *store.Tx) error { return tx.SaveService(ctx, was, now) })
	is := view(t, db, cinder.ServiceQuery{Host: new("host1@alpha")})[0]
	switch {
	case err == nil:
		wantSame(t, "service", is, now)
	case cinder.KindOf(err) != cinder.KindInvalid:
		t.Errorf("save a service: %v, of kind %v", err, cinder.KindOf(err))
	default:
		wantSame(t, "service, whose change was refused", is, was)
	}
	op := operation()
	op.ID = "odd"
	op.Detail, op.Caller.UserID, op.Caller.RequestID, op.Host, op.Outcome = text, text, text, text, text
	err = db.Update(ctx, func(tx *store.Tx) error { return tx.AddOperation(ctx, op) })
	got, lost := db.Operation(ctx, op.ID)
	switch {
	case err == nil:
		wantSame(t, "operation", got, op)
		d := cinder.OperationQuery{UserID: &text, Host: &text}
		if strings.Contains(text, "\x00") { // where SQLite's functions stop; the API allows it in no name
			d.Host = nil
		}
		if found, err := db.Operations(ctx, d); err != nil || len(found) != 1 {
			t.Errorf("the operation by what it has: %d, %v", len(found), err)
		}
		op.State, op.StartedAt = cinder.OpDone, at(1, 0)
		update(t, db, func(tx *store.Tx) error { return tx.SaveOperation(ctx, got, op) })
		update(t, db, func(tx *store.Tx) error { _, err := tx.Prune(ctx, at(2, 0), 10); return err })
	case cinder.KindOf(err) != cinder.KindInvalid:
		t.Errorf("add an operation: %v, of kind %v", err, cinder.KindOf(err))
	default:
		wantKind(t, lost, cinder.KindNotFound)
	}
	causes := []cinder.Cause{{Kind: cinder.CauseAdmin, Reason: &text, Since: at(9, 0)}}
	err = db.Update(ctx, func(tx *store.Tx) error {
		if err := tx.SaveCauses(ctx, cinder.BinaryVolume, "host1@alpha", causes); err != nil {
			return err
		}
		got, err := tx.Causes(ctx, cinder.BinaryVolume, "host1@alpha")
		wantSame(t, "causes", got, causes)
		return err
	})
	if err != nil && cinder.KindOf(err) != cinder.KindInvalid {
		t.Errorf("save causes: %v, of kind %v", err, cinder.KindOf(err))
	}
}
