package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"stoker/internal/osloconf"
)

// maxFile bounds a configuration file: Cinder's own sample, comments and all, is
// a quarter of a megabyte.
const maxFile = 4 << 20

// Load reads the files, a later one over an earlier one, and env (NAME=value,
// as os.Environ has it) over them all, and validates the result. It fails with
// a FaultsError that names everything that is wrong.
//
// Options that are not ours are ignored; see Config.Unknown.
func Load(files, env []string) (Config, error) {
	c, faults := load(files, env)
	if len(faults) > 0 {
		return Config{}, faults
	}
	return c, nil
}

// LoadDatabase reads [database] connection as Load does, and finds fault with
// nothing else: the schema can be made before the rest is decided.
func LoadDatabase(files, env []string) (URL, error) {
	c, faults := load(files, env)
	faults = slices.DeleteFunc(faults, func(f Fault) bool { return f.Section != "" && f.Section != "database" })
	if len(faults) > 0 {
		return "", faults
	}
	return c.Database, nil
}

func load(files, env []string) (Config, FaultsError) {
	settings := osloconf.New(env)
	var faults FaultsError
	for _, name := range files {
		text, err := readFile(name)
		if err == nil {
			err = settings.Add(name, text)
		}
		if err != nil {
			faults = append(faults, fileFault(name, err))
		}
	}
	if len(faults) > 0 {
		return Config{}, faults // what is left out of a file would make faults of its own
	}
	c, faults := read(settings)
	return c, inOrder(files, append(faults, c.validate(faults)...))
}

// inOrder sorts faults as somebody goes through them who mends the files: by
// file and line, then the environment and the defaults. Faults of a default that
// it owes to the option it refers to are left out.
func inOrder(files []string, faults FaultsError) FaultsError {
	owed := func(f Fault) bool { return f.Default && strings.Contains(f.Value, "$") }
	if !slices.ContainsFunc(faults, func(f Fault) bool { return !owed(f) }) {
		return faults
	}
	faults = slices.DeleteFunc(faults, owed)
	place := func(f Fault) int {
		if f.Line == 0 {
			return len(files)
		}
		return slices.Index(files, f.File)
	}
	slices.SortStableFunc(faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a.Line, b.Line))
	})
	return faults
}

func readFile(name string) (text string, err error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("longer than %d bytes", maxFile)
	}
	return string(b), err
}

func fileFault(name string, err error) Fault {
	if e, ok := errors.AsType[*osloconf.ParseError](err); ok {
		return Fault{File: e.File, Line: e.Line, Problem: e.Msg}
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return Fault{File: name, Problem: err.Error()}
}

// fault is a fault of an option, with the value as it is written in v.
func (c *Config) fault(section, name string, v osloconf.Value, printed, problem string) Fault {
	return Fault{
		File: v.File, Line: v.Line, Section: section, Option: name,
		Value: printed, Default: c.settings != nil && v.File == "", Problem: problem,
	}
}

// read takes every option out of s over its default. Options that have no value
// of their type get a fault.
func read(s *osloconf.Settings) (Config, FaultsError) {
	c := Config{settings: s}
	r := reader{c: &c, table: options()}
	for _, o := range r.table {
		readOption(&r, o, &c, o.group)
	}
	for _, section := range c.EnabledBackends {
		if !hasSection(s, section) {
			continue // a fault, found by validate
		}
		b := Backend{Section: section}
		for _, o := range backendOptions() {
			readOption(&r, o, &b, section)
		}
		if b.Name == "" {
			b.Name = section
		}
		c.Backends = append(c.Backends, b)
	}
	return c, r.faults
}

type reader struct {
	c      *Config
	table  []option[Config]
	faults FaultsError
}

// fallback is the default of an option, for those that refer to it.
func (r *reader) fallback(group, name string) (string, bool) {
	for _, o := range r.table {
		if o.group == group && o.name == name {
			return o.def, true
		}
	}
	return "", false
}

// readOption sets one option of t from its values in section, or from its default.
func readOption[T any](r *reader, o option[T], t *T, section string) {
	values := written(r.c.settings, o, section)
	if len(values) == 0 && !o.multi {
		values = []osloconf.Value{{Text: o.def}}
	}
	for _, v := range values {
		problem := ""
		text, err := r.c.settings.Expand(section, v, r.fallback)
		switch {
		case err != nil:
			problem = err.Error()
		case !o.set(t, text):
			problem = "must be " + o.allowed
		}
		if problem != "" {
			r.faults = append(r.faults, r.c.fault(section, o.name, v, o.printed(v.Text), problem))
		}
	}
}

// written are the values of an option in a section: all of them when it takes
// several, else the one that counts. A backend's section may leave an option to
// the section of defaults.
func written[T any](s *osloconf.Settings, o option[T], section string) []osloconf.Value {
	values := s.All(section, o.name)
	if len(values) == 0 && o.group == "" {
		values = s.All(defaultsSection, o.name)
	}
	if len(values) > 1 && !o.multi {
		values = values[len(values)-1:]
	}
	return values
}

// Unknown lists the options in the files that are not ours, each as
// "file:line: [section] name": Cinder's that we have no use for, and misspelt ones.
func (c Config) Unknown() []string {
	var unknown []string
	for _, section := range c.settings.Groups() {
		for _, name := range c.settings.Names(section) {
			if c.knows(section, name) {
				continue
			}
			v := c.settings.Last(section, name)
			unknown = append(unknown, fmt.Sprintf("%s:%d: [%s] %s", v.File, v.Line, section, name))
		}
	}
	return unknown
}

func (c Config) knows(section, name string) bool {
	if slices.ContainsFunc(options(), func(o option[Config]) bool { return o.group == section && o.name == name }) {
		return true
	}
	backend := section == defaultsSection ||
		slices.ContainsFunc(c.EnabledBackends, func(b string) bool { return osloconf.Fold(b) == section })
	return backend && slices.ContainsFunc(backendOptions(), func(o option[Backend]) bool { return o.name == name })
}
