package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds a policy file. Cinder's own sample is a twentieth of it.
const maxFile = 1 << 20

// settleTime is the age from which a file's stamp is trusted: a file written twice
// within the clock's resolution has the same stamp both times.
const settleTime = 2 * time.Second

// stamp is a file's metadata, used to detect changes.
type stamp struct {
	path    string
	info    fs.FileInfo // nil: it does not exist
	settled bool        // older than settleTime
}

// same reports whether the file is unchanged.
func (s stamp) same(t stamp) bool {
	if s.path != t.path || (s.info == nil) != (t.info == nil) {
		return false
	}
	return s.info == nil || s.settled &&
		s.info.ModTime().Equal(t.info.ModTime()) && s.info.Size() == t.info.Size() && os.SameFile(s.info, t.info)
}

// locate returns the first path that exists or, when none does, the first one.
func (o *Options) locate(name string) string {
	if o.Find == nil {
		return name
	}
	places := o.Find(name)
	for _, path := range places {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	if len(places) == 0 {
		return name
	}
	return places[0]
}

// scan stats all files, in order of increasing precedence: the policy file, then those
// of each directory by name. It skips hidden files, and nothing else (as in
// oslo.policy, not even *.bak). A policy file that was found once keeps its path.
func (o *Options) scan(before []stamp) ([]stamp, error) {
	now := time.Now()
	var found []stamp
	add := func(path string) error {
		info, err := os.Stat(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		s := stamp{path: path}
		if err == nil {
			s.info, s.settled = info, now.Sub(info.ModTime()).Abs() > settleTime
		}
		found = append(found, s)
		return nil
	}
	if o.File != "" {
		path := o.locate(o.File)
		if len(before) > 0 && before[0].info != nil {
			path = before[0].path
		}
		if err := add(path); err != nil {
			return nil, err
		}
	}
	for _, dir := range o.Dirs {
		dir = o.locate(dir)
		entries, err := os.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			if strings.HasPrefix(e.Name(), ".") {
				continue
			}
			if info, err := os.Stat(path); err == nil && info.IsDir() {
				continue
			}
			if err := add(path); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// fileRule is a rule in a file.
type fileRule struct {
	value any // argument of parseRule
	path  string
}

// read reads the scanned files; later ones override earlier ones. The policy file may
// be missing; a file that exists must be readable.
func read(files []stamp) (map[string]fileRule, error) {
	rules := map[string]fileRule{}
	for i, f := range files {
		if f.info == nil && i == 0 {
			continue
		}
		text, err := readFile(f.path)
		if err != nil {
			return nil, err
		}
		found, err := parseFile(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.path, err)
		}
		for name, value := range found {
			rules[name] = fileRule{value, f.path}
		}
	}
	return rules, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("%s is no file", path), err)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s is longer than %d bytes", path, maxFile)
	}
	return text, err
}

// parseFile parses a file as JSON or else YAML. It must be a mapping, or empty.
func parseFile(text []byte) (map[string]any, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("it is not UTF-8")
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil || !atEnd(d) {
		if v, err = parseYAML(text); err != nil {
			return nil, err
		}
	}
	switch rules := v.(type) {
	case map[string]any:
		return rules, nil
	case nil:
		return nil, nil
	}
	return nil, errors.New("it is no mapping of rules")
}

func atEnd(d *json.Decoder) bool {
	_, err := d.Token()
	return errors.Is(err, io.EOF)
}

// parseYAML parses the only document of a file. Types are decided here, not by YAML: a
// plain scalar is a string, and an empty value is nil.
func parseYAML(text []byte) (any, error) {
	var doc, more yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	err := d.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	// A syntax error after the first document shows up only here.
	switch err := d.Decode(&more); {
	case err == nil:
		return nil, errors.New("it has more than one document")
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	return value(doc.Content[0], maxNesting)
}

// maxNesting bounds the depth of a file: a mapping of lists of lists.
const maxNesting = 5

func value(n *yaml.Node, depth int) (any, error) {
	if depth == 0 {
		return nil, fmt.Errorf("line %d: it is nested too deeply for a policy", n.Line)
	}
	switch n.Kind {
	case yaml.AliasNode:
		return value(n.Alias, depth-1)
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			var err error
			if list[i], err = value(item, depth-1); err != nil {
				return nil, err
			}
		}
		return list, nil
	case yaml.MappingNode:
		return mapping(n, depth)
	default:
	}
	if n.Tag == "!!null" && n.Style&^yaml.FlowStyle == 0 {
		return nil, nil
	}
	return n.Value, nil
}

func mapping(n *yaml.Node, depth int) (map[string]any, error) {
	m := map[string]any{}
	var merged []map[string]any
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		v, err := value(n.Content[i+1], depth-1)
		switch {
		case err != nil:
			return nil, err
		case key.Kind != yaml.ScalarNode:
			return nil, fmt.Errorf("line %d: the name of a rule must be a text", key.Line)
		case key.Tag != "!!merge":
			m[key.Value] = v
			continue
		}
		switch v := v.(type) {
		case map[string]any:
			merged = append(merged, v)
		case []any:
			for _, item := range v {
				if below, ok := item.(map[string]any); ok {
					merged = append(merged, below)
				}
			}
		default:
			return nil, fmt.Errorf("line %d: only a mapping can be merged", key.Line)
		}
	}
	for _, below := range merged { // explicit keys win, then earlier merges
		for name, v := range below {
			if _, written := m[name]; !written {
				m[name] = v
			}
		}
	}
	return m, nil
}

// unchanged reports whether two scans saw the same.
func unchanged(a, b []stamp) bool { return slices.EqualFunc(a, b, stamp.same) }
