package osloconf

import (
	"maps"
	"slices"
	"strings"
)

// DefaultGroup is the section of options that belong to no other.
const DefaultGroup = "DEFAULT"

// Value is an option's value as written, and its place.
type Value struct {
	Text string
	File string // a path, or the name of the environment variable
	Line int    // starting at 1; 0 for the environment
}

// Settings are the assignments of any number of files and of the environment. A nil
// *Settings is empty and read-only.
type Settings struct {
	env    map[string]string
	groups map[string]map[string][]Value // by folded section, then option
}

// New returns Settings with the options set in env ("NAME=value", as from os.Environ).
func New(env []string) *Settings {
	s := &Settings{env: map[string]string{}, groups: map[string]map[string][]Value{}}
	for _, e := range env {
		if name, value, ok := strings.Cut(e, "="); ok && strings.HasPrefix(name, "OS_") {
			s.env[name] = value
		}
	}
	return s
}

// Add adds a file that overrides those added before. On an error, a *ParseError, it
// adds nothing.
func (s *Settings) Add(file, text string) error {
	type assignment struct {
		group, name string
		v           Value
	}
	var all []assignment
	err := parse(file, text, func(section, key string, v Value) {
		all = append(all, assignment{Fold(section), key, v})
	})
	if err != nil {
		return err
	}
	for _, a := range all {
		if s.groups[a.group] == nil {
			s.groups[a.group] = map[string][]Value{}
		}
		if a.name != "" {
			s.groups[a.group][a.name] = append(s.groups[a.group][a.name], a.v)
		}
	}
	return nil
}

// Fold normalises a section's name: oslo.config ignores the case of all sections but
// DEFAULT.
func Fold(section string) string {
	if section == DefaultGroup {
		return section
	}
	return strings.ToLower(section)
}

// EnvName is the environment variable that overrides an option.
func EnvName(group, name string) string {
	return "OS_" + strings.ToUpper(group) + "__" + strings.ToUpper(name)
}

// Get returns the value of a single-valued option: the environment's, or else the last
// in the files.
func (s *Settings) Get(group, name string) (Value, bool) {
	all := s.values(group, name)
	if len(all) == 0 {
		return Value{}, false
	}
	return all[len(all)-1], true
}

// All returns the values of a multi-valued option, in the order of files and lines; if
// the environment sets it, only that value.
func (s *Settings) All(group, name string) []Value { return slices.Clone(s.values(group, name)) }

func (s *Settings) values(group, name string) []Value {
	if s == nil {
		return nil
	}
	env := EnvName(group, name)
	if text, ok := s.env[env]; ok {
		return []Value{{Text: text, File: env}}
	}
	return s.groups[Fold(group)][name]
}

// HasGroup reports whether any file has that section, even if empty.
func (s *Settings) HasGroup(group string) bool { return s.inFiles()[Fold(group)] != nil }

// Groups returns the sections of the files, folded and sorted.
func (s *Settings) Groups() []string { return slices.Sorted(maps.Keys(s.inFiles())) }

// Names returns the options that the files set in a group, sorted.
func (s *Settings) Names(group string) []string {
	return slices.Sorted(maps.Keys(s.inFiles()[Fold(group)]))
}

// FillBlank sets an option that is set to a blank value to def, where it is set.
func (s *Settings) FillBlank(group, name, def string) {
	if v, ok := s.Get(group, name); !ok || strings.TrimSpace(v.Text) != "" {
		return
	}
	if env := EnvName(group, name); s.has(env) {
		s.env[env] = def
		return
	}
	all := s.groups[Fold(group)][name]
	all[len(all)-1].Text = def
}

func (s *Settings) has(env string) bool {
	_, ok := s.env[env]
	return ok
}

// Last is the last place where the files set an option, regardless of the environment.
func (s *Settings) Last(group, name string) Value {
	all := s.inFiles()[Fold(group)][name]
	if len(all) == 0 {
		return Value{}
	}
	return all[len(all)-1]
}

func (s *Settings) inFiles() map[string]map[string][]Value {
	if s == nil {
		return nil
	}
	return s.groups
}
