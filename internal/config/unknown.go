package config

import (
	"cmp"
	"fmt"
	"slices"

	"stoker/internal/osloconf"
)

// Ignored is an option in a file that Stoker has no use for: one of Cinder's, or
// a misspelt one.
type Ignored struct {
	File    string
	Line    int
	Section string
	Option  string
	Why     string // "" for one that Stoker does not know
}

// String is the option in one line.
func (i Ignored) String() string {
	s := fmt.Sprintf("%s:%d: [%s] %s", i.File, i.Line, i.Section, i.Option)
	if i.Why != "" {
		s += ": " + i.Why
	}
	return s
}

// Unknown lists the options in the files that are not ours, in the order of the
// files and their lines.
func (c Config) Unknown() []Ignored {
	var unknown []Ignored
	for _, section := range c.settings.Groups() {
		for _, name := range c.settings.Names(section) {
			if c.knows(section, name) {
				continue
			}
			v := c.settings.Last(section, name)
			unknown = append(unknown, Ignored{File: v.File, Line: v.Line, Section: section, Option: name, Why: why(section, name)})
		}
	}
	slices.SortFunc(unknown, func(a, b Ignored) int {
		return cmp.Or(cmp.Compare(slices.Index(c.files, a.File), slices.Index(c.files, b.File)), cmp.Compare(a.Line, b.Line))
	})
	return unknown
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
	backend := section == defaultsSection ||
		slices.ContainsFunc(c.EnabledBackends, func(b string) bool { return osloconf.Fold(b) == section })
	return backend && slices.ContainsFunc(backendOptions(), func(o option[Backend]) bool { return o.name == name })
}

// why says of options that operators will miss why they do nothing here.
func why(section, name string) string {
	reasons := map[string]string{
		"volume_driver":        "Stoker's volume services have a mirror backend each, whatever it says",
		"osapi_volume_workers": "one process uses all the CPUs it is given",
		"api_paste_config":     "Stoker has no pipeline of filters",
		"use_syslog":           "the log goes to log_file, or to standard error",
		"use_journal":          "the log goes to standard error, which systemd keeps",
		"log_config_append":    "see debug, and stoker log set",
		"memcached_servers":    "tokens are cached in the process",
		"delay_auth_decision":  "a request without a token is refused",
		"slave_connection":     "every read sees what was acknowledged",
	}
	if section == "oslo_messaging_notifications" {
		return "notifications go over the bus of transport_url in [DEFAULT], once"
	}
	return reasons[name]
}
