package contract

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// stream checks events as they come. The first that is wrong stays in err.
type stream struct {
	path   string
	events map[string]*jsonschema.Schema
	left   []byte // of a line that has not ended
	name   string
	data   *string
	ended  bool
	err    error
}

// stream is what checks the body of an answer that is a stream of events; nil of
// any other.
func (c *Contract) stream(r *http.Request, status int, h http.Header) *stream {
	if media(h) != mediaEvents {
		return nil
	}
	s := &stream{path: r.URL.Path}
	if op := c.find(r); op != nil {
		s.events = op.responses[status].content[mediaEvents].events
	}
	return s
}

func (s *stream) write(b []byte) {
	s.left = append(s.left, b...)
	for {
		line, rest, found := bytes.Cut(s.left, []byte("\n"))
		if !found {
			return
		}
		if err := s.line(string(line)); err != nil && s.err == nil {
			s.err = fmt.Errorf("the stream of %s is not what openapi.yaml says: %w\n%s", s.path, err, line)
		}
		s.left = rest
	}
}

// line takes a line of an event; an empty one ends it.
func (s *stream) line(line string) error {
	field, value, _ := strings.Cut(line, ": ")
	switch {
	case line == "":
		return s.event()
	case s.ended:
		return fmt.Errorf("something comes after the end")
	case field == "", field == "retry", field == "id": // a comment, or the stream's own
	case field == "event":
		s.name = value
	case field == "data" && s.data == nil:
		s.data = &value
	default:
		return fmt.Errorf("there is no field %q", field)
	}
	return nil
}

func (s *stream) event() error {
	name, data := s.name, s.data
	s.name, s.data = "", nil
	if name == "" && data == nil {
		return nil
	}
	schema := s.events[name]
	if schema == nil || data == nil {
		return fmt.Errorf("there is no event %q with data %v", name, data != nil)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(*data))
	if err != nil {
		return fmt.Errorf("event %s: %w", name, err)
	}
	s.ended = name == "end"
	if err := schema.Validate(value); err != nil {
		return fmt.Errorf("event %s: %w", name, err)
	}
	return nil
}

// end says what was wrong. A client that goes, goes in the midst of an event.
func (s *stream) end() error { return s.err }
