package osloconf

import (
	"fmt"
	"slices"
	"strings"
)

// Limits on substitution. Options refer to a handful of others; values that exceed this
// are a mistake or an attempt to exhaust memory.
const (
	maxDepth    = 16
	maxExpanded = 64 << 10
)

// Expand replaces $name and ${name} in v, the value of an option of group, by the
// values of those options, from group itself or else from [DEFAULT]; $group.name names
// the group. $$ and \$ stand for $; a $ without a name stands for itself.
//
// An option that is not set has the value of fallback; if there is none, or if options
// refer to each other in a cycle, Expand fails. Errors name options and quote no
// values.
func (s *Settings) Expand(group string, v Value, fallback func(group, name string) (string, bool)) (string, error) {
	e := expander{s: s, fallback: fallback}
	return e.expand(group, v.Text, nil)
}

type expander struct {
	s        *Settings
	fallback func(group, name string) (string, bool)
	size     int
}

// expand expands text in group; path has the options that led to it.
func (e *expander) expand(group, text string, path []string) (string, error) {
	if e.size += len(text) + 1; e.size > maxExpanded {
		return "", fmt.Errorf("substitution makes more than %d bytes", maxExpanded)
	}
	text = strings.ReplaceAll(text, `\$`, "$$")
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "$")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		if rest, ok := strings.CutPrefix(after, "$"); ok {
			b.WriteByte('$')
			text = rest
			continue
		}
		ref, rest := reference(after)
		text = rest
		if ref == "" {
			b.WriteByte('$')
			continue
		}
		value, err := e.value(group, ref, path)
		if err != nil {
			return "", err
		}
		b.WriteString(value)
	}
}

// value returns the expanded value of the option ref, as seen from group.
func (e *expander) value(group, ref string, path []string) (string, error) {
	group, name, text, ok := e.find(group, ref)
	if !ok {
		return "", fmt.Errorf("$%s is set nowhere and has no default here", ref)
	}
	full := Fold(group) + "." + name
	if i := slices.Index(path, full); i >= 0 {
		return "", fmt.Errorf("options refer to each other in a circle: %s -> %s", strings.Join(path[i:], " -> "), full)
	}
	if len(path) == maxDepth {
		return "", fmt.Errorf("$%s: options refer to each other more than %d deep", ref, maxDepth)
	}
	return e.expand(group, text, append(slices.Clip(path), full))
}

// find resolves ref to an option and its text.
func (e *expander) find(group, ref string) (in, name, text string, ok bool) {
	name = ref
	if g, n, dotted := strings.Cut(ref, "."); dotted {
		group, name = g, n
	}
	for _, at := range [][2]string{{group, name}, {DefaultGroup, ref}} {
		if v, ok := e.s.Get(at[0], at[1]); ok {
			return at[0], at[1], v.Text, true
		}
		if text, ok := e.fallback(at[0], at[1]); ok {
			return at[0], at[1], text, true
		}
	}
	return "", "", "", false
}

// reference splits text, which follows a $, into the name of an option, with or without
// braces, and the rest; ref is "" when there is no name.
func reference(text string) (ref, rest string) {
	if inner, ok := strings.CutPrefix(text, "{"); ok {
		n := nameLen(inner)
		if n > 0 && strings.HasPrefix(inner[n:], "}") {
			return inner[:n], inner[n+1:]
		}
		return "", text
	}
	n := nameLen(text)
	return text[:n], text[n:]
}

// nameLen is the length of the option name, with dots, at the start of s.
func nameLen(s string) int {
	for i := range len(s) {
		c := s[i] | 0x20
		letter := c >= 'a' && c <= 'z' || s[i] == '_'
		if !letter && (i == 0 || (s[i] < '0' || s[i] > '9') && s[i] != '.') {
			return i
		}
	}
	return len(s)
}
