package texts

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"

	"stoker/internal/store/storetest"
)

const project = "0123456789abcdef0123456789abcdef"

// route is what the OpenAPI document says of an operation, as far as there are
// texts in it.
type route struct {
	method, path string
	ours         bool // not below /v3
	query        []string
	fields       []string // of the body; nil where there is none
}

// routes reads the document, so that no route and no field can be forgotten.
func routes(tb testing.TB, document []byte) []route {
	tb.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		tb.Fatal(err)
	}
	var all []route
	for _, path := range doc.Paths.InMatchingOrder() {
		item := doc.Paths.Value(path)
		operations := item.Operations()
		for _, method := range slices.Sorted(maps.Keys(operations)) {
			op := operations[method]
			r := route{method: method, path: path, ours: len(item.Servers) > 0}
			for _, p := range op.Parameters {
				if p.Value.In == openapi3.ParameterInQuery {
					r.query = append(r.query, p.Value.Name)
				}
			}
			if op.RequestBody != nil {
				r.fields = slices.Sorted(maps.Keys(op.RequestBody.Value.Content.Get("application/json").Schema.Value.Properties))
			}
			all = append(all, r)
		}
	}
	return all
}

// request is one that goes over the wire as it stands here.
type request struct {
	method, target string
	headers        []string // NAME: VALUE
	body           string
	field          map[string]string // the texts of the body
	route          route
}

// text is the request as HTTP/1.1.
func (r request) text(host string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.method, r.target, host)
	for _, h := range r.headers {
		b.WriteString(h + "\r\n")
	}
	if r.body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(r.body))
	}
	return b.String() + "\r\n" + r.body
}

// generator makes requests, the same ones for the same seed.
type generator struct {
	*rand.Rand
	routes []route
	odd    []storetest.OddText
	names  []string // of hosts and clusters that are there
	ids    []string // of operations
	share  int      // how many of a hundred texts are odd in this request
}

func newGenerator(routes []route, seed uint64) *generator {
	return &generator{
		Rand: rand.New(rand.NewPCG(seed, 1)), routes: routes, odd: storetest.OddTexts(), //nolint:gosec // to be repeated, not to be secret.
		names: []string{"stoker", "stoker@alpha", "stoker@beta", "nodea@mirror", "nodeb@mirror", "mycl@mirror", "mycl"},
	}
}

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g *generator, of []T) T { return of[g.IntN(len(of))] }

// oddText is a text of one class, of several, or a name with something odd about it.
func (g *generator) oddText() string {
	odd := pick(g, g.odd).Text
	switch g.IntN(8) {
	case 0:
		return odd + pick(g, g.odd).Text
	case 1:
		name := pick(g, g.names)
		at := g.IntN(len(name) + 1)
		return name[:at] + odd + name[at:]
	case 2:
		return strings.ToUpper(pick(g, g.names))
	case 3: // any runes at all
		runes := make([]rune, 1+g.IntN(20))
		for i := range runes {
			runes[i] = rune(g.IntN(1 << (7 + g.IntN(14))))
		}
		return string(runes)
	case 4: // as long as columns are, about
		letter := pick(g, []string{"x", "é", "中", "\U0001F600", " ", "\\", "'"})
		return strings.Repeat(letter, 250+g.IntN(12))
	default:
		return odd
	}
}

// value is what a field of that name may say, or an odd text.
func (g *generator) value(name string) string {
	if g.chance(g.share) {
		return g.oddText()
	}
	some := map[string][]string{
		"host": {"stoker@alpha", "stoker@beta", "nodea@mirror"}, "server": {"stoker", "stoker@alpha", "mycl"},
		"cluster": {"mycl@mirror", "", ""}, "name": {"mycl@mirror"}, "alias": {"os-services"}, "id": g.ids, "marker": g.ids,
		"binary": {"cinder-volume", "cinder-volume", "cinder-volume", "cinder-backup"}, "service": {"cinder-volume"},
		"backend_id": {"site-b", "site-c", "default"}, "disabled_reason": {"disk swap", g.oddText(), g.oddText(), g.oddText()}, "active_backend_id": {"site-b"},
		"prefix": {"stoker", "stoker.api", ""}, "level": {"INFO", "warning"}, "replication_status": {"enabled"},
		"is_up": {"true", "f"}, "disabled": {"true", "no"}, "frozen": {"1", "off"}, "num_hosts": {"2", " 02"}, "num_down_hosts": {"0"},
		"kind": {"freeze", "disable"}, "state": {"done", "rolled-back"}, "user_id": {"admin"}, "limit": {"1", "1000", "7"},
		"since": {"2026-01-01T00:00:00", "2026-01-01T00:00:00Z"}, "before": {"2036-01-01T00:00:00+02:00"},
	}[name]
	if len(some) == 0 {
		return g.oddText()
	}
	return pick(g, some)
}

// next is the next request.
func (g *generator) next() request {
	// The more texts, the more often.
	rt := pick(g, g.routes)
	for g.IntN(12) >= 1+len(rt.query)+2*len(rt.fields)+strings.Count(rt.path, "{") {
		rt = pick(g, g.routes)
	}
	// With many odd texts most requests fail at the first of them.
	g.share = pick(g, []int{0, 5, 20, 60})
	r := request{method: rt.method, route: rt, field: map[string]string{}}
	r.target = g.target(rt)
	r.headers = g.headers()
	if rt.fields != nil {
		r.body = g.body(rt, r.field)
	}
	if g.chance(2) {
		r.method = pick(g, []string{http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodHead, http.MethodOptions, http.MethodPatch, "BREW"})
	}
	return r
}

// target is the path and the query.
func (g *generator) target(rt route) string {
	var path strings.Builder
	if !rt.ours {
		path.WriteString("/v3")
		if g.chance(80) {
			path.WriteString("/" + project)
		} else if g.chance(20) {
			path.WriteString("/" + g.escaped(g.oddText()))
		}
	}
	for segment := range strings.SplitSeq(strings.TrimPrefix(rt.path, "/"), "/") {
		if strings.HasPrefix(segment, "{") {
			segment = g.escaped(g.value(strings.Trim(segment, "{}")))
		} else if g.chance(1) {
			segment += g.escaped(g.oddText())
		}
		path.WriteString("/" + segment)
	}
	var pairs []string
	for _, name := range rt.query {
		if g.chance(100 / (1 + len(rt.query)/2)) {
			pairs = append(pairs, name+"="+g.escaped(g.value(name)))
		}
	}
	if g.chance(5) {
		pairs = append(pairs, g.escaped(g.oddText())+"="+g.escaped(g.oddText()))
	}
	target := path.String()
	if len(pairs) > 0 {
		target += "?" + strings.Join(pairs, pick(g, []string{"&", "&", "&", ";"}))
	}
	return target
}

// escaped is a text as it may stand in a path or a query: everything odd is
// escaped, but for bytes above ASCII, which now and then stand for themselves.
func (g *generator) escaped(text string) string {
	raw, format := g.chance(10), pick(g, []string{"%%%02X", "%%%02x"})
	var b strings.Builder
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~@:", c) >= 0, raw && c >= utf8.RuneSelf:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, format, c)
		}
	}
	return b.String()
}

// headers are those of a client that is mostly in his right mind.
func (g *generator) headers() []string {
	headers := []string{"X-Auth-Token: admin:" + project, "Content-Type: application/json"}
	version := pick(g, []string{"3.0", "3.7", "3.26", "3.32", "3.49", "3.71", "latest"})
	headers = append(headers, "OpenStack-API-Version: volume "+version)
	for _, name := range []string{
		"X-Auth-Token", "OpenStack-API-Version", "X-OpenStack-Request-Id", "Idempotency-Key", "Accept", "Content-Type", "Last-Event-ID",
		"Origin", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Prefix", "X-Auth-User", "X-Auth-Project-Id", "User-Agent",
	} {
		if g.chance(3) {
			value := pick(g, []string{"", "volume ", "req-", "admin:", "for=", "for=[fe80::1%", "fe80::1%"}) + inHeader(g.oddText()) + pick(g, []string{"", "", ":" + project, "]"})
			headers = slices.DeleteFunc(headers, func(h string) bool { return strings.HasPrefix(h, name+":") })
			headers = append(headers, name+": "+value)
		}
	}
	if g.chance(5) {
		headers = append(headers, fmt.Sprint("Idempotency-Key: k", g.IntN(200)))
	}
	return headers
}

// inHeader is a text without the bytes that no header may have; those that are
// no UTF-8 stay.
func inHeader(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c >= ' ' && c != 0x7f || c == '\t' {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// body is a JSON object with some of the fields that there are, and now and then
// with something that is wrong with it.
func (g *generator) body(rt route, field map[string]string) string {
	var members []string
	for _, name := range rt.fields {
		if !g.chance(85) {
			continue
		}
		value := g.value(name)
		text, said := g.quoted(value)
		if g.chance(3) {
			text, said = pick(g, []string{"null", "7", "1e999", "-0", "true", "[]", `{"a": "b"}`, "NaN", strings.Repeat("9", 400)}), ""
		}
		field[name] = said
		members = append(members, `"`+name+`": `+text)
	}
	if g.chance(2) {
		key, _ := g.quoted(g.oddText())
		members = append(members, key+": 1")
	}
	body := "{" + strings.Join(members, ", ") + "}"
	if g.chance(1) {
		body = body[:g.IntN(len(body))] + pick(g, g.odd).Text
	}
	return body
}

// quoted is a text in JSON, in one of the ways to write it: as it is, whatever
// bytes that are, or with escapes, where half a surrogate pair is possible. What
// is said is the text that a reader makes of it; "" when that is none.
func (g *generator) quoted(text string) (quoted, said string) {
	if g.chance(4) {
		half := fmt.Sprintf(`\u%04x`, 0xd800+g.IntN(0x800))
		return `"` + pick(g, []string{"", "a"}) + half + pick(g, []string{"", "b", `\u0041`}) + `"`, ""
	}
	if !utf8.ValidString(text) {
		return `"` + strings.NewReplacer("\x00", `\u0000`, `"`, `\"`, `\`, `\\`).Replace(text) + `"`, ""
	}
	b, err := json.Marshal(text)
	if err != nil {
		return `""`, ""
	}
	if g.chance(50) {
		return string(b), text
	}
	var escaped strings.Builder
	for _, r := range string(b) {
		switch {
		case r < utf8.RuneSelf:
			escaped.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&escaped, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		default:
			fmt.Fprintf(&escaped, `\u%04X`, r)
		}
	}
	return escaped.String(), text
}
