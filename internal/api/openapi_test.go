package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"stoker/internal/api/microversion"
	"stoker/internal/api/schema"
)

var update = flag.Bool("update", false, "write golden files")

type object = map[string]any

// document makes the OpenAPI document of the table.
func document(tb testing.TB, table []route) []byte {
	tb.Helper()
	var components object
	text, err := os.ReadFile("testdata/components.yaml")
	if err == nil {
		err = yaml.Unmarshal(text, &components)
	}
	if err != nil {
		tb.Fatal(err)
	}
	paths := object{}
	for i := range table {
		if r := &table[i]; r.summary != "" {
			path, servers := documentedPath(r.pattern)
			item, ok := paths[path].(object)
			if !ok {
				item = object{}
				paths[path] = item
			}
			if servers != nil {
				item["servers"] = servers
			}
			method := strings.ToLower(r.method)
			if method == "" {
				method = "get"
			}
			item[method] = operation(tb, r, method, path)
			if r.method == "" {
				item["x-any-method"] = true
			}
		}
	}
	doc := object{
		"openapi": "3.1.0",
		"info": object{
			"title":       "Stoker",
			"version":     microversion.Max.String(),
			"description": "Services and clusters of a block-storage fleet, as OpenStack Cinder's API has them.",
			"license":     object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"servers": []any{
			object{"url": root, "description": "The project is the token's."},
			object{
				"url": root + "/{project_id}", "description": "The project must be the token's.",
				"variables": object{"project_id": object{"default": "0", "description": "Hexadecimal digits and dashes."}},
			},
		},
		"security":   []any{object{"token": []any{}}},
		"paths":      paths,
		"components": components,
	}
	var b bytes.Buffer
	b.WriteString("# Made from the routes of the API by its tests (-update); not to be edited.\n")
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(doc); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// documentedPath is a pattern as OpenAPI writes it, below the server it is on.
func documentedPath(pattern string) (path string, servers []any) {
	if rest, ok := strings.CutPrefix(pattern, root+"/"); ok && rest != "{$}" {
		return "/" + rest, nil
	}
	return strings.ReplaceAll(strings.TrimSuffix(pattern, "{$}"), "...", ""), []any{object{"url": "/"}}
}

var placeholder = regexp.MustCompile(`\{(\w+)\}`)

func operation(tb testing.TB, r *route, method, path string) object {
	tb.Helper()
	op := object{"summary": r.summary, "operationId": operationID(method, path)}
	var parameters []any
	for _, m := range placeholder.FindAllStringSubmatch(path, -1) {
		parameters = append(parameters, object{"name": m[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	for _, f := range r.filters {
		parameters = append(parameters, object{"name": f, "in": "query", "schema": object{"type": "string"}})
	}
	if !r.bare && !r.own {
		parameters = append(parameters, object{"$ref": "#/components/parameters/Version"})
	}
	if r.change() {
		parameters = append(parameters, object{"$ref": "#/components/parameters/Key"})
	}
	if parameters != nil {
		op["parameters"] = parameters
	}
	if r.access == open {
		op["security"] = []any{}
	}
	if rules := slices.DeleteFunc([]string{r.policy, r.then}, func(s string) bool { return s == "" }); len(rules) > 0 {
		op["x-policy"] = rules
	}
	if r.since > microversion.Min {
		op["x-min-microversion"] = r.since.String()
	}
	if r.schema != "" {
		text, err := schema.Source(r.schema)
		var body object
		if err == nil {
			err = json.Unmarshal(text, &body)
		}
		if err != nil {
			tb.Fatal(err)
		}
		op["requestBody"] = object{"required": true, "content": object{mediaJSON: object{"schema": body}}}
	}
	op["responses"] = responses(r)
	return op
}

func responses(r *route) object {
	headers := object{headerRequestID: ref("headers", "RequestId")}
	if r.change() {
		headers[headerOperation] = ref("headers", "Operation")
	}
	if r.ok == http.StatusFound {
		headers["Location"] = ref("headers", "Location")
	}
	if r.then == ruleFailover {
		headers[headerWarning] = ref("headers", "Warning")
	}
	ok := object{"description": http.StatusText(r.ok), "headers": headers}
	if content := shown(r); content != nil {
		ok["content"] = content
	}
	all := object{strconv.Itoa(r.ok): ok}
	for _, status := range faults(r) {
		name := "Fault"
		switch status {
		case http.StatusUnauthorized:
			name = "Unauthenticated"
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			name = "TryLater"
		}
		all[strconv.Itoa(status)] = ref("responses", name)
	}
	switch {
	case strings.HasPrefix(r.pattern, healthPath):
		all["204"] = ref("responses", "Alive")
		all["503"] = ref("responses", "HealthOfParts")
	case r.pattern == root || r.pattern == root+"/{$}":
		all["204"] = ref("responses", "Greeting")
	}
	return all
}

func ref(kind, name string) object { return object{"$ref": "#/components/" + kind + "/" + name} }

// shown is what a route answers when all goes well; nil is no body.
func shown(r *route) object {
	plain := object{"schema": object{"type": "string"}}
	switch r.shows {
	case "":
		return nil
	case "text":
		return object{"text/plain": plain, mediaJSON: object{"schema": ref("schemas", "Health")}}
	case "events":
		return object{mediaEvents: object{
			"schema":   object{"type": "string", "description": "Events have the names in x-events; their data is JSON, and looks as is said there."},
			"x-events": object{"ready": ref("schemas", "EventReady"), "service": ref("schemas", "EventService"), "operation": ref("schemas", "OperationFields"), "end": ref("schemas", "EventEnd")},
		}}
	case "yaml":
		return object{"application/yaml": plain}
	}
	body := object{"schema": ref("schemas", r.shows)}
	return object{mediaJSON: body, mediaVendor: body}
}

// faults are the statuses other than that of success that a route answers with.
func faults(r *route) []int {
	// 403 of all: see NoAuth.admit.
	all := []int{http.StatusForbidden, http.StatusRequestEntityTooLarge, http.StatusInternalServerError}
	if r.access != open {
		all = append(all, http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusServiceUnavailable)
	}
	if !r.bare {
		all = append(all, http.StatusBadRequest, http.StatusUnsupportedMediaType)
	}
	if !r.bare && !r.own {
		all = append(all, http.StatusNotAcceptable)
	}
	if r.change() || r.since > microversion.Min || strings.Contains(r.pattern, "{") && r.access != open || slices.Contains(r.filters, "marker") {
		all = append(all, http.StatusNotFound)
	}
	if r.change() {
		all = append(all, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusBadGateway, http.StatusGatewayTimeout)
	}
	return all
}

func operationID(method, path string) string {
	words := strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune("/{}-_.", r) })
	if len(words) == 0 {
		words = []string{"root"}
	}
	id := method
	for _, w := range words {
		id += strings.ToUpper(w[:1]) + w[1:]
	}
	if strings.HasSuffix(path, "/") && path != "/" {
		id += "Slash"
	}
	return id
}

func TestOpenAPI(t *testing.T) {
	want := document(t, routes())
	if *update {
		if err := os.WriteFile("openapi.yaml", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(want), string(openAPIText)); diff != "" {
		t.Errorf("openapi.yaml is not what the routes make (go test -update): -want +got\n%s", diff)
	}
	doc := loadDocument(t)
	if err := doc.Validate(t.Context()); err != nil {
		t.Errorf("openapi.yaml: %v", err)
	}
}

func loadDocument(tb testing.TB) *openapi3.T {
	tb.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(openAPIText)
	if err != nil {
		tb.Fatal(err)
	}
	return doc
}

// What a real Cinder answered is what the document says.
func TestOpenAPIAgainstRecordedAnswers(t *testing.T) {
	text, err := os.ReadFile("testdata/services.json")
	var cases []struct {
		Name, Method, Path string
		Expect             struct {
			JSON json.RawMessage
		}
	}
	if err == nil {
		err = json.Unmarshal(text, &cases)
	}
	if err != nil {
		t.Fatal(err)
	}
	schemas := loadDocument(t).Components.Schemas
	mux := newMux(routes())
	paths := located(t, defaultProject)
	seen := map[string]int{}
	for _, c := range cases {
		if c.Expect.JSON == nil {
			continue
		}
		req, err := http.NewRequestWithContext(t.Context(), c.Method, "http://api"+c.Path, http.NoBody)
		if err != nil {
			continue // a path that only a raw request can have
		}
		l, ok := paths.locate(req.URL.Path)
		s := &Server{mux: mux}
		rq := &request{http: req, location: l}
		if !ok || !s.find(rq) {
			t.Errorf("%s: no route", c.Name)
			continue
		}
		var v any
		answered := strings.NewReplacer("<time>", "2026-01-02T03:04:05.000000", "<any>", "any", "<max>", "3.70").Replace(string(c.Expect.JSON))
		if err := json.Unmarshal([]byte(answered), &v); err != nil {
			t.Fatal(err)
		}
		if err := schemas[rq.route.shows].Value.VisitJSON(v); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		seen[rq.route.shows]++
	}
	for _, shown := range []string{"Services", "Clusters", "ClustersInDetail", "ClusterInDetail", "ChangedCluster", "Changed", "ChangedWithReason", "LogLevels", "Versions"} {
		if seen[shown] == 0 {
			t.Errorf("no recorded answer is %s", shown)
		}
	}
}

// Every route asks for a policy rule or says that it does not.
func TestEveryRouteHasARule(t *testing.T) {
	for _, r := range routes() {
		if (r.policy == "") == (r.access == byPolicy) {
			t.Errorf("%s %s: access %d with the rule %q", r.method, r.pattern, r.access, r.policy)
		}
		if r.access == open && strings.HasPrefix(r.pattern, root) {
			t.Errorf("%s %s is open", r.method, r.pattern)
		}
	}
	want := []string{
		"volume_extension:services:index", "volume_extension:services:update",
		"volume:freeze_host", "volume:thaw_host", "volume:failover_host",
		"clusters:get_all", "clusters:get", "clusters:update",
		"stoker:operations:index", "stoker:operations:abort", "stoker:events:index",
	}
	if diff := cmp.Diff(want, Rules()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
