package contract

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// reader makes a Contract of the document. What goes wrong first stays in err.
type reader struct {
	document node
	compiler *jsonschema.Compiler
	err      error
}

const documentURL = "https://stoker.invalid/openapi.yaml"

func newReader(document node) *reader {
	r := &reader{document: document, compiler: jsonschema.NewCompiler()}
	r.compiler.DefaultDraft(jsonschema.Draft2020)
	r.compiler.AssertFormat()
	r.failed(r.compiler.AddResource(documentURL, document))
	return r
}

func (r *reader) failed(err error) bool {
	if r.err == nil {
		r.err = err
	}
	return err != nil
}

// schema compiles the schema at a place of the document.
func (r *reader) schema(at string) *jsonschema.Schema {
	s, err := r.compiler.Compile(documentURL + at)
	if r.failed(err) {
		return nil
	}
	return s
}

func (r *reader) path(at string, item node) path {
	base := "/v3"
	if item["servers"] != nil { // of the host itself
		base = ""
	}
	p := path{segments: strings.Split(strings.TrimPrefix(base+at, "/"), "/"), operations: map[string]operation{}}
	p.rest = strings.HasSuffix(at, "/{rest}")
	for name, value := range item {
		method := strings.ToUpper(name)
		if name == "servers" || strings.HasPrefix(name, "x-") {
			continue
		}
		op := r.operation(value.(node), pointer("paths", at, name))
		p.operations[method] = op
		if item["x-any-method"] == true {
			p.any = &op
		}
	}
	return p
}

func (r *reader) operation(op node, at string) operation {
	o := operation{responses: map[int]response{}}
	all, _ := op["responses"].(node)
	for name, value := range all {
		status, err := strconv.Atoi(name)
		if r.failed(err) {
			continue
		}
		o.responses[status] = r.response(value.(node), at+pointer("responses", name))
	}
	return o
}

func (r *reader) response(value node, at string) response {
	value, at = r.follow(value, at)
	res := response{headers: map[string]header{}, content: map[string]content{}}
	headers, _ := value["headers"].(node)
	for name, h := range headers {
		of, where := r.follow(h.(node), at+pointer("headers", name))
		res.headers[http.CanonicalHeaderKey(name)] = header{of["required"] == true, r.schema("#" + where + "/schema")}
	}
	all, _ := value["content"].(node)
	for name, c := range all {
		where := at + pointer("content", name)
		made := content{schema: r.schema("#" + where + "/schema")}
		if events, ok := c.(node)["x-events"].(node); ok {
			made.events = map[string]*jsonschema.Schema{}
			for event := range events {
				made.events[event] = r.schema("#" + where + pointer("x-events", event))
			}
		}
		res.content[name] = made
	}
	return res
}

// follow goes to where a reference leads.
func (r *reader) follow(value node, at string) (node, string) {
	to, ok := value["$ref"].(string)
	if !ok {
		return value, at
	}
	at = strings.TrimPrefix(to, "#")
	found := r.document
	for name := range strings.SplitSeq(strings.TrimPrefix(at, "/"), "/") {
		next, ok := found[name].(node)
		if !ok {
			r.failed(fmt.Errorf("%s leads nowhere", to))
			return node{}, at
		}
		found = next
	}
	return found, at
}

// pointer is the JSON pointer to what lies under those names.
func pointer(names ...string) string {
	var b strings.Builder
	for _, n := range names {
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D", "%", "%25").Replace(n))
	}
	return b.String()
}
