package api

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
)

const readme = "../../README.md"

// openTable is the list of what needs no token, for the README.
func openTable() string {
	var b strings.Builder
	b.WriteString("| request | what it tells |\n|---|---|\n")
	for _, r := range routes() {
		if r.access == open {
			pattern := strings.NewReplacer("{$}", "", "{rest...}", "...").Replace(r.pattern)
			b.WriteString("| `" + strings.TrimSpace(r.method+" "+pattern) + "` | " + r.tells + " |\n")
		}
	}
	// Not a route: see Server.answer.
	b.WriteString("| `OPTIONS` of any path, and of `*` | nothing, but to a page of an allowed origin (`[cors]`) what it may send |\n")
	return b.String()
}

// The README lists what is open to everybody, and nothing but that.
func TestREADMEListsWhatIsOpen(t *testing.T) {
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile(`(?s)<!-- open -->\n(.*?)<!-- /open -->`)
	if *update {
		fresh := list.ReplaceAllLiteral(text, []byte("<!-- open -->\n"+openTable()+"<!-- /open -->"))
		if err := os.WriteFile(readme, fresh, 0o644); err != nil {
			t.Fatal(err)
		}
		text = fresh
	}
	m := list.FindSubmatch(text)
	if m == nil {
		t.Fatal("README.md has no list of what is open between its marks")
	}
	if diff := cmp.Diff(openTable(), string(m[1])); diff != "" {
		t.Errorf("README.md (-want +got; -update writes it):\n%s", diff)
	}
	for _, r := range routes() {
		if (r.access == open) != (r.tells != "") {
			t.Errorf("%s %s: open routes say what they tell, and no others", r.method, r.pattern)
		}
	}
}

// nobody is an Authenticator that knows no one.
type nobody struct{}

func (nobody) Authenticate(*http.Request) (cinder.Caller, error) {
	return cinder.Caller{}, cinder.Errorf(cinder.KindUnauthenticated, "%s", textUnauthorized)
}

// Without a token, what the list says is open answers, and nothing else: not a
// route by whatever method, and OPTIONS tells nothing of any.
func TestNothingElseIsOpen(t *testing.T) {
	s, err := New(Options{Auth: nobody{}, Policy: AllowAll{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ask := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody))
		return w
	}
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"}
	for _, r := range routes() {
		path := regexp.MustCompile(`\{\w+(\.\.\.)?\}`).ReplaceAllString(strings.TrimSuffix(r.pattern, "{$}"), "x")
		for _, method := range methods {
			w := ask(method, path)
			isOpen := r.access == open && (r.method == "" || r.method == method)
			refused := w.Code == http.StatusUnauthorized || !strings.HasPrefix(path, root) && w.Code == http.StatusNotFound
			if isOpen == refused {
				t.Errorf("%s %s without a token: %d, open is %v", method, path, w.Code, isOpen)
			}
		}
		w := ask("OPTIONS", path)
		if w.Code != http.StatusOK || w.Body.Len() > 0 && r.access != open {
			t.Errorf("OPTIONS %s without a token: %d %s", path, w.Code, w.Body)
		}
	}
	w := ask("OPTIONS", "*")
	for name := range w.Header() {
		if !slices.Contains([]string{headerRequestID, "Content-Length", "Content-Type"}, name) {
			t.Errorf("OPTIONS * answers with the header %s", name)
		}
	}
	if w.Code != http.StatusOK || w.Body.Len() > 0 || w.Header().Get(headerRequestID) == "" {
		t.Errorf("OPTIONS *: %d %s %v", w.Code, w.Body, w.Header())
	}
}
