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

// Use is what a configuration is read for. What is wrong with an option that it
// has no use for is no fault then, so that one file does for all.
type Use int

// The uses of a configuration.
const (
	ForAll      Use = iota // every fault counts
	ForAPI                 // stoker api
	ForVolume              // stoker volume
	ForService             // stoker scheduler and stoker backup
	ForDatabase            // the database alone
	ForBus                 // the bus, and the database beside it
)

// Load reads the files, a later one over an earlier one, and env (NAME=value,
// as os.Environ has it) over them all, and validates the result. It fails with
// a FaultsError that names everything that is wrong for that use.
//
// Options that are not ours are ignored; see Config.Unknown.
func Load(files, env []string, use Use) (Config, error) {
	c, faults := load(files, env, use)
	if len(faults) > 0 {
		return Config{}, faults
	}
	return c, nil
}

// Check is Load for somebody who wants to see the configuration with its faults:
// both results may be of use. Of files that cannot be read the Config is empty.
func Check(files, env []string, use Use) (Config, FaultsError) { return load(files, env, use) }

func load(files, env []string, use Use) (Config, FaultsError) {
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
	c.files = files
	faults = append(faults, c.validate(faults, use)...)
	return c, inOrder(files, slices.DeleteFunc(faults, func(f Fault) bool { return !use.concerns(c, f) }))
}

// concerns says whether a fault is one for this use.
func (u Use) concerns(c Config, f Fault) bool {
	if u == ForAll || f.Option == "" {
		return true
	}
	backend := f.Section == osloconf.DefaultGroup && f.Option == enabledBackends ||
		slices.ContainsFunc(c.Backends, func(b Backend) bool { return b.Section == f.Section })
	isAPI := slices.ContainsFunc(options(), func(o option[Config]) bool {
		return o.api && o.section(&c) == f.Section && o.name == f.Option || isCORS(f.Section)
	})
	switch u {
	case ForAPI:
		return !backend
	case ForVolume:
		return !isAPI
	case ForService:
		return !isAPI && !backend
	case ForDatabase:
		return f.Section == groupDatabase
	case ForBus:
		return f.Section == groupDatabase || f.Section == groupRabbit ||
			f.Section == osloconf.DefaultGroup && (f.Option == "transport_url" || f.Option == "control_exchange")
	default:
		return true
	}
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
		fillBlank(s, o, o.group) // before any option is read: others may refer to it
	}
	for _, o := range r.table {
		readOption(&r, o, &c, o.section(&c))
	}
	r.override()
	r.readCORS()
	if c.Listen == "" {
		c.Listen = defaultListen(c.AuthStrategy)
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
	if group == osloconf.DefaultGroup && name == "my_ip" { // not ours, but others refer to it
		return ownAddress(), true
	}
	for _, o := range r.table {
		if o.group == group && o.name == name {
			return o.def, true
		}
	}
	return "", false
}

// fillBlank puts the default where a number is set to nothing.
func fillBlank[T any](s *osloconf.Settings, o option[T], section string) {
	if !o.blank {
		return
	}
	for _, place := range o.places(section) {
		s.FillBlank(place[0], place[1], o.def)
	}
}

// readOption sets one option of t from its values in section, or from its default.
func readOption[T any](r *reader, o option[T], t *T, section string) {
	values := written(r.c.settings, o, section)
	if len(values) == 0 && (!o.multi || o.def != "") {
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
// several, else the one that counts.
func written[T any](s *osloconf.Settings, o option[T], section string) []osloconf.Value {
	var values []osloconf.Value
	for _, place := range o.places(section) {
		if values = s.All(place[0], place[1]); len(values) > 0 {
			break
		}
	}
	if len(values) > 1 && !o.multi {
		values = values[len(values)-1:]
	}
	return values
}
