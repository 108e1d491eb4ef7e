package store_test

import (
	"strings"
	"testing"

	"stoker/internal/cinder"
	"stoker/internal/store"
)

// TestRefusalsBeginWithTheServersReason checks that a refusal begins with the server's
// message, which names the user and the privilege, and ends with advice.
func TestRefusalsBeginWithTheServersReason(t *testing.T) {
	says := map[string]struct{ user, right string }{
		"mysql":    {"Access denied for user 'weak'", "CREATE command denied to user 'weak'"},
		"postgres": {"password authentication failed for user \"weak\"", "permission denied for schema public"},
	}
	for _, e := range serverEngines() {
		t.Run(e.name, func(t *testing.T) {
			url := e.create(t)
			scheme, _, _ := strings.Cut(url, "://")
			at := strings.LastIndex(url, "@")
			name, _, _ := strings.Cut(url[at+strings.IndexByte(url[at:], '/')+1:], "?")
			admin := e.raw(t, url)
			if e.name == "mysql" {
				execOn(t, admin, `CREATE USER weak IDENTIFIED BY 'fine'`)
				execOn(t, admin, "GRANT SELECT ON `"+name+"`.* TO weak")
				defer execOn(t, admin, `DROP USER weak`)
			} else {
				execOn(t, admin, `CREATE ROLE weak LOGIN PASSWORD 'fine'`)
				defer execOn(t, admin, `DROP ROLE weak`)
			}
			_, err := store.Open(t.Context(), store.Options{URL: scheme + "://weak:secret" + url[at:]})
			wantReasonFirst(t, err, says[e.name].user, "check user, password and grants")

			db, err := store.Open(t.Context(), store.Options{URL: scheme + "://weak:fine" + url[at:]})
			if err != nil {
				t.Fatal(err)
			}
			defer end(t, db)
			_, err = db.Sync(t.Context())
			wantReasonFirst(t, err, says[e.name].right, "check the user's grants")
		})
	}
}

func wantReasonFirst(tb testing.TB, err error, reason, advice string) {
	tb.Helper()
	wantLine(tb, err, cinder.KindInvalid, reason, advice)
	if text := err.Error(); strings.Index(text, reason) > strings.Index(text, advice) || strings.Contains(text, "secret") {
		tb.Errorf("error %q: want %q before %q, and no password", text, reason, advice)
	}
}
