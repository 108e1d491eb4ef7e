package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"stoker/internal/dsn"
	"stoker/internal/osloconf"
)

// Ignored is an option in a file that Stoker has no use for: one of Cinder's, or
// a misspelt one.
type Ignored struct {
	File    string
	Line    int // 0 when it is in the environment
	Section string
	Option  string
	Why     string // "" for one that Stoker does not know
	Matters bool   // whether Stoker behaves otherwise than the option asks
}

// String is the option in one line.
func (i Ignored) String() string {
	s := i.File
	if i.Line > 0 {
		s += fmt.Sprintf(":%d", i.Line)
	}
	s += fmt.Sprintf(": [%s] %s", i.Section, i.Option)
	if i.Why != "" {
		s += ": " + i.Why
	}
	return s
}

// Unknown lists the options in the files that are not ours, and those of the
// database's URL that nothing follows, in the order of the files and their lines.
// Whether they matter is said for one use.
func (c Config) Unknown(use Use) []Ignored {
	unknown := c.unfollowed()
	for _, section := range c.settings.Groups() {
		for _, name := range c.settings.Names(section) {
			if c.knows(section, name) {
				continue
			}
			v := c.settings.Last(section, name)
			i := Ignored{File: v.File, Line: v.Line, Section: c.spelled(section), Option: name}
			i.Why, i.Matters = c.why(section, name)
			i.Matters = i.Matters && c.asks(use, section, name, v.Text)
			unknown = append(unknown, i)
		}
	}
	slices.SortStableFunc(unknown, func(a, b Ignored) int {
		return cmp.Or(cmp.Compare(slices.Index(c.files, a.File), slices.Index(c.files, b.File)), cmp.Compare(a.Line, b.Line))
	})
	return unknown
}

// unfollowed are the options of the database's URL that nothing follows.
func (c Config) unfollowed() []Ignored {
	d, err := dsn.ParseDatabase(string(c.Database))
	if err != nil {
		return nil // a fault
	}
	var ignored []Ignored
	connection := databaseOptions()[0]
	for _, v := range written(c.settings, connection, groupDatabase) {
		for _, name := range d.Unfollowed() {
			ignored = append(ignored, Ignored{
				File: v.File, Line: v.Line, Section: groupDatabase, Option: connection.name, Why: "the URL's option " + name + " is not followed", Matters: true,
			})
		}
	}
	return ignored
}

func (c Config) knows(section, name string) bool {
	for _, o := range options() {
		if slices.ContainsFunc(o.places(o.section(&c)), func(p [2]string) bool { return osloconf.Fold(p[0]) == section && p[1] == name }) {
			return true
		}
	}
	if isCORS(section) {
		return slices.ContainsFunc(corsOptions(), func(o option[Config]) bool { return o.name == name })
	}
	return slices.ContainsFunc(backendOptions(), func(o option[Backend]) bool {
		return o.name == name && (c.enables(section) || section == defaultsSection && !o.own)
	})
}

// why says of options that operators will miss why they do nothing here, and
// whether Stoker then behaves otherwise than they ask.
func (c Config) why(section, name string) (reason string, matters bool) {
	if section == groupNotifications {
		return "notifications go over the bus of transport_url in [DEFAULT], once", true
	}
	if slices.Contains(oldBroker(), name) {
		return "transport_url names the broker", true
	}
	if reason = missed()[name]; reason != "" {
		return reason, true
	}
	if meant := c.meant(section, name); meant != "" {
		return "is " + meant + " meant?", true
	}
	return needless()[name], section == ownGroup
}

// asks says whether a value of an option that we miss asks for anything, of a
// program of that use.
func (c Config) asks(use Use, section, name, value string) bool {
	switch {
	case section == ownGroup:
		return true
	case strings.TrimSpace(value) == "":
		return false
	case section == groupNotifications:
		text, err := c.settings.Expand(section, osloconf.Value{Text: value}, (&reader{table: options()}).fallback)
		return slices.Contains(c.NotifyDrivers, NotifyBus) && (name != transportURL || err != nil || text != string(c.TransportURL))
	}
	switch name {
	case "use_syslog":
		return slices.Contains(truths(), strings.ToLower(value))
	case "log_rotation_type":
		return !strings.EqualFold(value, "none")
	case volumeDriver:
		return (use == ForAll || use == ForVolume) && (section == defaultsSection || c.enables(section))
	case "api_paste_config", "disable_by_file_path", "disable_by_file_paths":
		return use == ForAll || use == ForAPI
	default:
		return true
	}
}

// enables says whether a section, folded, is a backend of enabled_backends.
func (c Config) enables(section string) bool {
	return slices.ContainsFunc(c.EnabledBackends, func(b string) bool { return osloconf.Fold(b) == section })
}

// spelled is a section, folded, as enabled_backends and so the service has it.
func (c Config) spelled(section string) string {
	for _, b := range c.EnabledBackends {
		if osloconf.Fold(b) == section {
			return b
		}
	}
	return section
}

// missed are options for which things are different here.
func missed() map[string]string {
	const (
		form   = "lines of the log have a form of their own: text, or JSON with use_json"
		rotate = "the log file is never rotated by Stoker"
	)
	return map[string]string{
		volumeDriver:                    "the backend is a mirror, directories under state_path: the storage of this driver is neither asked nor changed",
		"api_paste_config":              "filters that were added in that file, such as audit, do not run",
		"use_syslog":                    "the log goes to log_file, or to standard error",
		"log_config_append":             "see debug, and stoker log set",
		"default_log_levels":            "see debug, and stoker log set",
		"log_rotation_type":             rotate,
		"logging_context_format_string": form,
		"logging_default_format_string": form,
		"connection_parameters":         "write them into the URL of connection",
		"disable_by_file_path":          "/healthcheck looks at no file",
		"disable_by_file_paths":         "/healthcheck looks at no file",
	}
}

// needless are options that there is no need for here.
func needless() map[string]string {
	return map[string]string{
		"osapi_volume_workers": "one process uses all the CPUs it is given",
		"use_journal":          "the log goes to standard error, which systemd keeps",
		"memcached_servers":    "tokens are cached in the process",
		"delay_auth_decision":  "a request without a token is refused",
		"use_queue_manager":    "queues of a process that has stopped are deleted, or expire",
		"slave_connection":     "every read sees what was acknowledged",
	}
}

const (
	// shortName is the length up to which two names are alike by chance.
	shortName = 5
	// misspelt is how many letters may be wrong in a name that is still recognised.
	misspelt = 2
)

// meant is the option of ours that a name in its section looks like: "" for none,
// and for one that the section has as well.
func (c Config) meant(section, name string) string {
	if len(name) <= shortName {
		return ""
	}
	for _, o := range options() {
		if osloconf.Fold(o.section(&c)) == section && len(c.settings.All(section, o.name)) == 0 && len(o.name) > shortName && apart(name, o.name) <= misspelt {
			return o.name
		}
	}
	return ""
}

// apart is how many letters have to be put in, taken out or changed to make b of a.
func apart(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := corner
			if a[i] != b[j] {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
