package schema

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"stoker/internal/cinder"
)

//go:embed *.json
var files embed.FS

// maxReason is how many characters a cluster's disabled_reason may have once
// the space around it is gone.
const maxReason = 255

// Schema is what a body must look like.
type Schema struct {
	name     string
	compiled *jsonschema.Schema
	order    []string // the properties, as the schema lists them
}

// Set is all the schemas there are, by name.
type Set map[string]*Schema

// Compile compiles the embedded schemas.
func Compile() (Set, error) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	for _, f := range []jsonschema.Format{
		{Name: "reason", Validate: checkReason},
		{Name: "trimmed-reason", Validate: checkTrimmedReason},
		{Name: "name", Validate: checkName},
		{Name: "level", Validate: checkLevel},
	} {
		c.RegisterFormat(&f)
	}
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("read schemas: %w", err)
	}
	set := Set{}
	for _, e := range entries {
		s, err := load(c, e.Name())
		if err != nil {
			return nil, fmt.Errorf("schema %s: %w", e.Name(), err)
		}
		set[s.name] = s
	}
	return set, nil
}

func load(c *jsonschema.Compiler, file string) (*Schema, error) {
	text, err := files.ReadFile(file)
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	if err := c.AddResource(file, doc); err != nil {
		return nil, err
	}
	compiled, err := c.Compile(file)
	if err != nil {
		return nil, err
	}
	var listed struct{ Properties keys }
	if err := json.Unmarshal(text, &listed); err != nil {
		return nil, err
	}
	return &Schema{name: strings.TrimSuffix(file, ".json"), compiled: compiled, order: listed.Properties}, nil
}

// Source is the text of the schema with that name.
func Source(name string) ([]byte, error) { return files.ReadFile(name + ".json") }

// keys are the keys of a JSON object in the order in which they are written.
type keys []string

func (k *keys) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		var skip json.RawMessage
		if err := d.Decode(&skip); err != nil {
			return err
		}
		*k = append(*k, fmt.Sprint(t))
	}
	return nil
}

// Validate checks a decoded body, and that no text in it holds a character that
// not every database keeps. The error is KindInvalid and names the first field
// that is wrong, in the order of the schema.
func (s *Schema) Validate(body any) error {
	err := s.compiled.Validate(body)
	if err == nil {
		obj, _ := body.(map[string]any)
		return s.checkText(obj)
	}
	found, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return fmt.Errorf("validate %s: %w", s.name, err)
	}
	first := slices.MinFunc(found.Causes, func(a, b *jsonschema.ValidationError) int { return s.rank(a) - s.rank(b) })
	return describe(first, body)
}

// rank orders errors: those of a property first, as the schema lists them, then
// what is missing, then what is too much.
func (s *Schema) rank(e *jsonschema.ValidationError) int {
	if len(e.InstanceLocation) > 0 {
		return slices.Index(s.order, e.InstanceLocation[0])
	}
	if _, ok := e.ErrorKind.(*kind.AdditionalProperties); ok {
		return len(s.order) + 1
	}
	return len(s.order)
}

func (s *Schema) checkText(obj map[string]any) error {
	for _, field := range s.order {
		text, _ := obj[field].(string)
		if strings.Contains(text, "\x00") {
			return wrongField(field, text, quoteShort(text)+" contains U+0000")
		}
		if !utf8.ValidString(text) {
			return wrongField(field, text, quoteShort(text)+" contains half a surrogate pair")
		}
	}
	return nil
}

// describe says what is wrong in Cinder's words (services.json, disable/host-*).
func describe(e *jsonschema.ValidationError, body any) error {
	if len(e.InstanceLocation) == 0 {
		return cinder.Errorf(cinder.KindInvalid, "%s", problem(e.ErrorKind, body))
	}
	field := e.InstanceLocation[0]
	obj, _ := body.(map[string]any)
	value := obj[field]
	if f, ok := e.ErrorKind.(*kind.Format); ok && cinder.Message(f.Err) != "" {
		return f.Err // the format has words of its own
	}
	return wrongField(field, value, problem(e.ErrorKind, value))
}

func wrongField(field string, value any, problem string) error {
	text, ok := value.(string)
	if !ok {
		text = Quote(value)
	}
	return cinder.Errorf(cinder.KindInvalid, "Invalid input for field/attribute %s. Value: %s. %s", field, shortened(text), problem)
}

func quoteShort(v any) string { return shortened(Quote(v)) }

// problem says what the value does not satisfy.
func problem(k jsonschema.ErrorKind, value any) string {
	switch k := k.(type) {
	case *kind.Type:
		want := slices.Clone(k.Want)
		slices.SortStableFunc(want, func(a, b string) int { return strings.Compare(b, a) }) // null comes last
		return quoteShort(value) + " is not of type '" + strings.Join(want, "', '") + "'"
	case *kind.MinLength:
		return quoteShort(value) + " is too short"
	case *kind.MaxLength:
		return quoteShort(value) + " is too long"
	case *kind.Pattern:
		return quoteShort(value) + " does not match " + Quote(k.Want)
	case *kind.Enum:
		return quoteShort(value) + " is not one of " + Quote(k.Want)
	case *kind.Format:
		return quoteShort(value) + " " + k.Err.Error()
	case *kind.AnyOf:
		return quoteShort(value) + " is not valid under any of the given schemas"
	case *kind.Required:
		return Quote(k.Missing[0]) + " is a required property"
	case *kind.AdditionalProperties:
		return tooMuch(k.Properties)
	default:
		return quoteShort(value) + " is not valid"
	}
}

func tooMuch(properties []string) string {
	names := make([]string, len(properties))
	for i, p := range slices.Sorted(slices.Values(properties)) {
		names[i] = Quote(p)
	}
	verb := "were"
	if len(names) == 1 {
		verb = "was"
	}
	return "Additional properties are not allowed (" + shortened(strings.Join(names, ", ")) + " " + verb + " unexpected)"
}

// Trim removes the space around s, by Python's notion of space.
func Trim(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f })
}

var errReason = errors.New("is not a 'disabled_reason'")

// checkReason refuses a reason of nothing but space
// (services.json, disable-log-reason/reason-space).
func checkReason(v any) error {
	if s, ok := v.(string); ok && s != "" && Trim(s) == "" {
		return errReason
	}
	return nil
}

// checkTrimmedReason also bounds what is left of a reason without the space
// around it (services.json, clusters/disable-reason-long).
func checkTrimmedReason(v any) error {
	if s, ok := v.(string); ok && utf8.RuneCountInString(Trim(s)) > maxReason {
		return errReason
	}
	return checkReason(v)
}

func checkName(v any) error {
	if s, ok := v.(string); ok && s != "" && Trim(s) == "" {
		return cinder.Errorf(cinder.KindInvalid, "An invalid 'name' value was provided. The 'name' can not be empty.")
	}
	return nil
}

func checkLevel(v any) error {
	s, _ := v.(string)
	_, err := cinder.ParseLogLevel(s)
	return err
}
