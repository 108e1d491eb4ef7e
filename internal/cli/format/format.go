package format

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"stoker/internal/printable"
)

// The forms of output.
const (
	FormTable = "table"
	FormJSON  = "json"
	FormYAML  = "yaml"
)

// Write writes t, or v in its place when a program reads along: v is what
// encoding/json makes of it, in YAML too, with the fields in the same order. What
// a terminal would obey or hide is escaped in all of them.
func Write(w io.Writer, form string, v any, t Table) error {
	switch form {
	case FormTable:
		return t.write(w)
	case FormJSON:
		b, err := marshal(v, "  ")
		if err != nil {
			return err
		}
		_, err = w.Write(printable.JSON(b))
		return err
	case FormYAML:
		return writeYAML(w, v)
	default:
		return fmt.Errorf("%q is no output format", form)
	}
}

// marshal is json.Marshal, but leaves <, > and & alone: no browser reads along.
func marshal(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	return b.Bytes(), nil
}

func writeYAML(w io.Writer, v any) error {
	b, err := marshal(v, "  ")
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	node, err := yamlNode(d)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	e := yaml.NewEncoder(&text)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(node), e.Close()); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	_, err = w.Write(printable.Quoted(text.Bytes()))
	return err
}

// yamlNode is the next JSON value of d. It goes by the tokens because a map
// would forget the order of the fields.
func yamlNode(d *json.Decoder) (*yaml.Node, error) {
	token, err := d.Token()
	if err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	switch t := token.(type) {
	case json.Delim:
		n := &yaml.Node{Kind: yaml.MappingNode}
		if t == '[' {
			n.Kind = yaml.SequenceNode
		}
		for d.More() { // an object's keys and values follow each other in both
			child, err := yamlNode(d)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, child)
		}
		_, err := d.Token() // the closing one
		return n, err
	case string:
		return yamlString(t), nil
	case json.Number:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: t.String()}, nil
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(t)}, nil
	default:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: "null"}, nil
	}
}

// yamlString is a string that every reader of YAML takes for one: in quotes,
// unless it starts with a letter, has nothing but letters, digits and some
// harmless signs, and is no word that YAML 1.1 means something by.
func yamlString(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Style: yaml.DoubleQuotedStyle}
	switch strings.ToLower(s) {
	case "", "y", "n", "yes", "no", "on", "off", "true", "false", "null":
		return n
	}
	for i, r := range s {
		switch {
		case printable.Hidden(r): // is escaped, which only quotes allow
			return n
		case unicode.IsLetter(r):
		case i > 0 && (unicode.IsDigit(r) || strings.ContainsRune("_-./@+", r)):
		case i > 0 && i < len(s)-1 && r == ' ':
		default:
			return n
		}
	}
	n.Style = 0
	return n
}
