package contract

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"stoker/internal/api"
)

const (
	mediaJSON   = "application/json"
	mediaEvents = "text/event-stream"
)

// Contract says what answers there may be. It is safe for concurrent use.
type Contract struct {
	paths []path
	fault *jsonschema.Schema // of what leads nowhere
	noone *jsonschema.Schema // of who is nobody
}

// path is a path of the document.
type path struct {
	segments   []string // "{...}" is any; at the end, if rest, any number of them
	rest       bool
	operations map[string]operation // by method
	any        *operation           // of every method
}

type operation struct{ responses map[int]response }

type response struct {
	headers map[string]header // by canonical name
	content map[string]content
}

type header struct {
	required bool
	schema   *jsonschema.Schema
}

type content struct {
	schema *jsonschema.Schema
	events map[string]*jsonschema.Schema // of a stream, by name
}

// node is a mapping of the document.
type node = map[string]any

// New compiles the document.
func New() (*Contract, error) {
	var document node
	if err := yaml.Unmarshal(api.OpenAPI(), &document); err != nil {
		return nil, err
	}
	r := newReader(document)
	c := &Contract{fault: r.schema("#/components/schemas/Fault"), noone: r.schema("#/components/schemas/Unauthenticated")}
	items, _ := document["paths"].(node)
	for at, item := range items {
		c.paths = append(c.paths, r.path(at, item.(node)))
	}
	return c, r.err
}

// Answer is an answer and what was asked.
type Answer struct {
	Request *http.Request
	Status  int
	Header  http.Header
	Body    []byte
}

// Check says what the document does not allow of an answer.
func (c *Contract) Check(a Answer) error {
	if err := c.check(a); err != nil {
		body := a.Body
		if len(body) > 2000 {
			body = body[:2000]
		}
		return fmt.Errorf("the answer to %s %s is not what openapi.yaml says: %w\n%d %v\n%s", a.Request.Method, a.Request.URL.Path, err, a.Status, a.Header, body)
	}
	return nil
}

func (c *Contract) check(a Answer) error {
	if options(a) {
		return nil
	}
	op := c.find(a.Request)
	if op == nil {
		return c.checkNowhere(a)
	}
	r, ok := op.responses[a.Status]
	if !ok {
		return fmt.Errorf("there is no status %d", a.Status)
	}
	if err := r.checkHeaders(a.Header); err != nil {
		return err
	}
	if a.Request.Method == http.MethodHead {
		return nil
	}
	return r.checkBody(a)
}

// options says whether an answer is that to a question what one may do, which is
// the same everywhere.
func options(a Answer) bool {
	return a.Request.Method == http.MethodOptions && a.Status == http.StatusOK && len(a.Body) == 0
}

// checkNowhere checks the answer to what the document does not have: a fault.
func (c *Contract) checkNowhere(a Answer) error {
	schema := c.fault
	switch a.Status {
	case http.StatusUnauthorized:
		schema = c.noone
	case http.StatusNotFound, http.StatusForbidden, http.StatusBadRequest, http.StatusNotAcceptable, http.StatusRequestEntityTooLarge,
		http.StatusUnsupportedMediaType, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable:
	default:
		return fmt.Errorf("there is no such operation, and %d is no status for that", a.Status)
	}
	if a.Request.Method == http.MethodHead {
		return nil
	}
	if media(a.Header) != mediaJSON {
		return fmt.Errorf("there is no such operation, and %q is no content type of faults", a.Header.Get("Content-Type"))
	}
	return checkJSON(schema, a)
}

// find looks the operation of a request up; nil when there is none.
func (c *Contract) find(r *http.Request) *operation {
	segments, ok := locate(r.URL.Path)
	if !ok {
		return nil
	}
	var found *operation
	literal := -1
	for i := range c.paths {
		p := &c.paths[i]
		n, ok := p.matches(segments)
		if !ok || n <= literal {
			continue
		}
		if op, has := p.operations[r.Method]; has {
			found, literal = &op, n
		} else if p.any != nil {
			found, literal = p.any, n
		}
	}
	return found
}

// locate takes a path apart as Cinder does: slashes in a row are one, a project
// is left out, and so is .json at the end.
func locate(at string) ([]string, bool) {
	var segments []string
	for s := range strings.SplitSeq(at, "/") {
		if s == "." || s == ".." {
			return nil, false
		}
		if s != "" {
			segments = append(segments, s)
		}
	}
	slash := strings.HasSuffix(at, "/")
	if len(segments) == 0 {
		return []string{""}, slash
	}
	if segments[0] != "v3" {
		if slash {
			segments = append(segments, "")
		}
		return segments, true
	}
	if len(segments) > 1 && strings.Trim(segments[1], "0123456789abcdef-") == "" {
		if len(segments) == 2 {
			return nil, false
		}
		segments = append(segments[:1], segments[2:]...)
	}
	switch last := segments[len(segments)-1]; {
	case len(segments) == 1 && slash:
		segments = append(segments, "")
	case slash:
		return nil, false
	case last != ".json" && len(segments) > 1:
		segments[len(segments)-1] = strings.TrimSuffix(last, ".json")
	}
	return segments, true
}

// matches says how many segments of a request's path are those of p, letter by
// letter, when p is its path.
func (p *path) matches(segments []string) (literal int, ok bool) {
	if len(segments) != len(p.segments) && (!p.rest || len(segments) < len(p.segments)) {
		return 0, false
	}
	for i, s := range p.segments {
		switch {
		case s == segments[i]:
			literal++
		case !strings.HasPrefix(s, "{"):
			return 0, false
		}
	}
	return literal, true
}

func (r *response) checkHeaders(h http.Header) error {
	for name, want := range r.headers {
		values := h.Values(name)
		if len(values) == 0 && want.required {
			return fmt.Errorf("there is no %s", name)
		}
		for _, v := range values {
			if err := want.schema.Validate(v); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

func (r *response) checkBody(a Answer) error {
	if len(r.content) == 0 {
		if len(a.Body) > 0 {
			return fmt.Errorf("there is a body")
		}
		return nil
	}
	of, ok := r.content[media(a.Header)]
	switch {
	case !ok:
		return fmt.Errorf("%q is none of its content types", a.Header.Get("Content-Type"))
	case of.events != nil: // looked at as it comes
		return nil
	case !strings.HasSuffix(media(a.Header), "json"):
		return nil
	}
	return checkJSON(of.schema, a)
}

func checkJSON(schema *jsonschema.Schema, a Answer) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(a.Body))
	if err != nil {
		return err
	}
	if err := schema.Validate(value); err != nil {
		return err
	}
	return checkCode(value, a.Status)
}

// checkCode checks that a fault has the status of its answer.
func checkCode(value any, status int) error {
	if status < http.StatusBadRequest {
		return nil
	}
	faults, _ := value.(node)
	for name, detail := range faults {
		if d, ok := detail.(node); ok && fmt.Sprint(d["code"]) != fmt.Sprint(status) {
			return fmt.Errorf("%s has the code %v", name, d["code"])
		}
	}
	return nil
}

func media(h http.Header) string {
	m, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return m
}
