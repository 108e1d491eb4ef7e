package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// recorded is a request that was sent to a real Cinder, and what it answered.
type recorded struct {
	Name    string            `json:"name"`
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
	Raw     *string           `json:"raw"`
	Expect  expectation       `json:"expect"`
	Differs string            `json:"differs"` // why we do otherwise
}

type expectation struct {
	Status   int               `json:"status"`
	StatusIn []int             `json:"status_in"`
	Headers  map[string]string `json:"headers"`
	JSON     json.RawMessage   `json:"json"`
	Fault    *faultExpectation `json:"fault"`
	Changes  map[string]delta  `json:"changes"`
}

type faultExpectation struct {
	Key           string `json:"key"`
	Code          int    `json:"code"`
	MessageStarts string `json:"message_starts"`
	MessageHas    string `json:"message_has"`
	Field         string `json:"field"`
}

// delta is what became of the columns of a row: from and to.
type delta map[string][2]any

func readJSON(tb testing.TB, path string, v any) {
	tb.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// TestConformance replays what was recorded from a real Cinder. The rules by
// which answers agree are those under which the cases were recorded: values are
// equal but for patterns, and exactly the rows that are listed change.
func TestConformance(t *testing.T) {
	r := newRig(t, parts{})
	var cases []recorded
	readJSON(t, "testdata/services.json", &cases)
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	var loaded time.Time
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			reads := slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions}, c.Method)
			if !reads || time.Since(loaded) > 20*time.Second {
				r.loadFixture(t)
				loaded = time.Now()
			}
			before := r.rows(t)
			got := r.replay(t, c)
			agreesOnStatus(t, c.Expect, got)
			agreesOnHeaders(t, c.Expect, got)
			if c.Expect.Fault != nil {
				agreesOnFault(t, *c.Expect.Fault, got)
			}
			if c.Expect.JSON != nil {
				var want, have any
				check(t, json.Unmarshal(c.Expect.JSON, &want), json.Unmarshal(got.body, &have))
				if d := differ(want, have, ""); d != "" {
					t.Error(d)
				}
			}
			agreesOnRows(t, c.Expect.Changes, before, r.rows(t))
			if !reads {
				loaded = time.Time{}
			}
		})
	}
}

func (r *rig) replay(tb testing.TB, c recorded) reply {
	tb.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", c.Method, c.Path, r.address)
	for k, v := range c.Headers {
		fmt.Fprintf(&b, "%s: %s\r\n", k, v)
	}
	body := string(c.Body)
	if c.Raw != nil {
		body = *c.Raw
	}
	if c.Raw != nil || c.Body != nil {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	return r.raw(tb, c.Method, b.String()+"\r\n"+body)
}

func agreesOnStatus(t *testing.T, want expectation, got reply) {
	t.Helper()
	if got.status != want.Status && !slices.Contains(want.StatusIn, got.status) {
		t.Errorf("got status %d, want %d%v: %.300s", got.status, want.Status, want.StatusIn, got.body)
	}
}

func agreesOnHeaders(t *testing.T, want expectation, got reply) {
	t.Helper()
	for k, v := range want.Headers {
		have := got.header.Get(k)
		agree := have == v
		switch k {
		case "content-type":
			agree = strings.HasPrefix(have, v)
		case "vary":
			agree = strings.Contains(strings.ToLower(have), strings.ToLower(v))
		}
		if !agree {
			t.Errorf("header %s: got %q, want %q", k, have, v)
		}
	}
	if got.header.Get("X-Openstack-Request-Id") == "" {
		t.Error("no request id")
	}
}

func agreesOnFault(t *testing.T, want faultExpectation, got reply) {
	t.Helper()
	var body map[string]struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(got.body, &body); err != nil {
		t.Fatalf("%v: %.300s", err, got.body)
	}
	f, ok := body[want.Key]
	if !ok || len(body) != 1 {
		t.Fatalf("got %.300s, want a %s alone", got.body, want.Key)
	}
	starts := want.MessageStarts
	if want.Field != "" {
		starts = "Invalid input for field/attribute " + want.Field + "."
	}
	if f.Code != want.Code || f.Message == "" || !strings.HasPrefix(f.Message, starts) || !strings.Contains(f.Message, want.MessageHas) {
		t.Errorf("got %+v, want %+v", f, want)
	}
}

var (
	timePattern    = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$`)
	versionPattern = regexp.MustCompile(`^3\.\d+$`)
)

// differ is the first difference between two JSON values, of which want may hold
// patterns and lists are in any order; "" when there is none.
func differ(want, got any, at string) string {
	switch w := want.(type) {
	case string:
		s, isText := got.(string)
		ok := s == w
		switch w {
		case "<any>":
			return ""
		case "<max>":
			ok = versionPattern.MatchString(s)
		case "<time>":
			ok = timePattern.MatchString(s)
		}
		if !isText || !ok {
			return fmt.Sprintf("%s: got %v, want %s", at, got, w)
		}
		return ""
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(w) {
			return fmt.Sprintf("%s: got %v, want %v", at, got, want)
		}
		for k := range w {
			if _, ok := g[k]; !ok {
				return fmt.Sprintf("%s: no %s", at, k)
			}
			if d := differ(w[k], g[k], at+"."+k); d != "" {
				return d
			}
		}
		return ""
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return fmt.Sprintf("%s: got %v, want %v", at, got, want)
		}
		ws, gs := inOrder(w), inOrder(g)
		for i := range ws {
			if d := differ(ws[i], gs[i], fmt.Sprintf("%s[%d]", at, i)); d != "" {
				return d
			}
		}
		return ""
	default:
		if !reflect.DeepEqual(want, got) {
			return fmt.Sprintf("%s: got %v, want %v", at, got, want)
		}
		return ""
	}
}

func inOrder(list []any) []any {
	key := func(v any) string {
		m, ok := v.(map[string]any)
		if !ok {
			return fmt.Sprint(v)
		}
		return fmt.Sprint(m["binary"], m["host"], m["name"], m["id"])
	}
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b any) int { return strings.Compare(key(a), key(b)) })
	return list
}

// watched are the columns by which the change of a row is told.
var watched = []struct {
	table, name, columns string
}{
	{"services", "host || ':' || id", "disabled,disabled_reason,frozen,replication_status,active_backend_id,modified_at,updated_at,deleted"},
	{"clusters", "'cluster ' || name", "disabled,disabled_reason,frozen,replication_status,active_backend_id"},
}

func (r *rig) rows(tb testing.TB) map[string]map[string]any {
	tb.Helper()
	found := map[string]map[string]any{}
	for _, w := range watched {
		columns := strings.Split(w.columns, ",")
		r.query(tb, "SELECT "+w.name+", "+w.columns+" FROM "+w.table, len(columns)+1, func(values []any) {
			row := map[string]any{}
			for i, c := range columns {
				row[c] = column(values[i+1])
			}
			found[fmt.Sprint(values[0])] = row
		})
	}
	return found
}

// query gives each row of a result to visit.
func (r *rig) query(tb testing.TB, text string, columns int, visit func(values []any)) {
	tb.Helper()
	rows, err := r.db.QueryContext(tb.Context(), text)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { check(tb, rows.Close()) }()
	values, targets := make([]any, columns), make([]any, columns)
	for i := range values {
		targets[i] = &values[i]
	}
	for rows.Next() {
		check(tb, rows.Scan(targets...))
		visit(values)
	}
	check(tb, rows.Err())
}

// column makes one form of what the driver and JSON have several for.
func column(v any) any {
	switch v := v.(type) {
	case bool:
		if v {
			return float64(1)
		}
		return float64(0)
	case int64:
		return float64(v)
	case []byte:
		return string(v)
	case time.Time:
		return v.String()
	default:
		return v
	}
}

// agreesOnRows compares what became of the rows. Of times it matters only that
// modified_at changed where the case says so.
func agreesOnRows(t *testing.T, want map[string]delta, before, after map[string]map[string]any) {
	t.Helper()
	got := map[string]delta{}
	for name, row := range after {
		for c, v := range row {
			if was, ok := before[name]; ok && !reflect.DeepEqual(was[c], v) {
				if got[name] == nil {
					got[name] = delta{}
				}
				got[name][c] = [2]any{was[c], v}
			}
		}
	}
	for name, d := range want {
		if _, ok := d["modified_at"]; ok && got[name]["modified_at"] == [2]any{} {
			t.Errorf("%s: modified_at was not set", name)
		}
	}
	if w, g := withoutTimes(want), withoutTimes(got); !reflect.DeepEqual(w, g) {
		t.Errorf("rows changed %v, want %v", g, w)
	}
}

func withoutTimes(changes map[string]delta) map[string]delta {
	kept := map[string]delta{}
	for name, d := range changes {
		for c, v := range d {
			if strings.HasSuffix(c, "_at") {
				continue
			}
			if kept[name] == nil {
				kept[name] = delta{}
			}
			kept[name][c] = v
		}
	}
	return kept
}

// loadFixture puts the rows in place that the cases were recorded with.
func (r *rig) loadFixture(tb testing.TB) {
	tb.Helper()
	var fixture map[string][]map[string]any
	readJSON(tb, "testdata/fixture.json", &fixture)
	tx, err := r.db.BeginTx(tb.Context(), nil)
	if err != nil {
		tb.Fatal(err)
	}
	for _, table := range []string{"workers", "services", "clusters"} {
		if _, err := tx.ExecContext(tb.Context(), "DELETE FROM "+table); err != nil {
			tb.Fatal(err)
		}
	}
	for table, rows := range fixture {
		for _, row := range rows {
			var columns, marks []string
			var args []any
			for k, v := range row {
				if ago, ok := v.(map[string]any); ok {
					v = stamp(time.Duration(ago["seconds_ago"].(float64) * float64(time.Second)))
				}
				columns, marks, args = append(columns, `"`+k+`"`), append(marks, "?"), append(args, v)
			}
			text := "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES (" + strings.Join(marks, ", ") + ")"
			if _, err := tx.ExecContext(tb.Context(), text, args...); err != nil {
				tb.Fatal(err)
			}
		}
	}
	check(tb, tx.Commit())
}
