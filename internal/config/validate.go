package config

import (
	"fmt"
	"slices"
	"strings"

	"stoker/internal/osloconf"
)

// Validate says everything that is wrong with c, also when it was made in code:
// nil, or FaultsError.
func (c Config) Validate() error {
	if faults := c.validate(nil, ForAll); len(faults) > 0 {
		return faults
	}
	return nil
}

// validate finds the faults besides those known already: an option has one fault
// at most.
func (c Config) validate(known FaultsError, use Use) FaultsError {
	v := validator{c: c, known: known, use: use}
	for _, o := range options() {
		checkOption(&v, o, &c, o.section(&c))
	}
	for _, section := range c.Edge.MoreCORS {
		own := c.with(section)
		for _, o := range corsOptions() {
			checkOption(&v, o, &own, section.Section)
		}
	}
	v.rules()
	for _, b := range c.Backends {
		for _, o := range backendOptions() {
			checkOption(&v, o, &b, b.Section)
		}
	}
	return v.found
}

type validator struct {
	c     Config
	use   Use
	known FaultsError
	found FaultsError
}

// bad says whether an option has a fault already.
func (v *validator) bad(section, name string) bool {
	is := func(f Fault) bool { return f.Section == section && f.Option == name }
	return slices.ContainsFunc(v.known, is) || slices.ContainsFunc(v.found, is)
}

func (v *validator) add(f Fault) {
	if !v.bad(f.Section, f.Option) {
		v.found = append(v.found, f)
	}
}

// checkOption adds a fault when the value of o in t is out of its range.
func checkOption[T any](v *validator, o option[T], t *T, section string) {
	if o.valid == nil || o.valid(t) {
		return
	}
	problem := "must be " + o.allowed
	if o.problem != nil {
		problem = o.problem(t)
	}
	v.option(o.name, section, problem, written(v.c.settings, o, section), o.printed, o.show(t))
}

// option adds a fault of an option, with the value that is written or else shown.
func (v *validator) option(name, section, problem string, values []osloconf.Value, printed func(string) string, shown string) {
	var at osloconf.Value
	if len(values) > 0 {
		at = values[len(values)-1]
		shown = printed(at.Text)
	}
	v.add(v.c.fault(section, name, at, shown, problem))
}

// rules are those that concern more than one option.
func (v *validator) rules() {
	const def = osloconf.DefaultGroup
	c := v.c
	if missing := c.missingBackends(); len(missing) > 0 {
		v.rule(def, enabledBackends, "there is no section [%s]", strings.Join(missing, "], ["))
	}
	if c.AuthStrategy == AuthKeystone {
		v.keystone()
	}
	v.rabbit()
	v.edge()
	v.upstream()
	v.services()
	if c.Noauth() && !loopback(c.Listen) && !c.InsecureNoauth {
		v.rule(def, "osapi_volume_listen", "with auth_strategy = %s it must be a loopback address (127.0.0.1, ::1, localhost), "+
			"or [stoker] insecure_noauth = true: whoever reaches it is an administrator", c.AuthStrategy)
	}
	if c.FailoverExpiry > c.FailoverDeadline && !v.bad("stoker", "failover_deadline") {
		v.rule("stoker", "failover_expiry", "must be at most failover_deadline (%v)", c.FailoverDeadline.Seconds())
	}
}

// services finds what keeps a service from being one in a process of its own.
func (v *validator) services() {
	if v.use != ForVolume && v.use != ForService {
		return
	}
	const def = osloconf.DefaultGroup
	if v.c.MemoryBus() {
		v.rule(def, "transport_url", "reaches no other process: a service by itself needs a bus, rabbit://...")
	}
	if v.use == ForVolume && len(v.c.EnabledBackends) == 0 {
		v.rule(def, enabledBackends, "a volume service needs a backend")
	}
	if v.use == ForVolume {
		v.devices()
	}
}

// devices finds places that our mirror backend could not be told to fail over to.
func (v *validator) devices() {
	nameless := func(d ReplicationDevice) bool { return d.BackendID == "" }
	blank := func(w osloconf.Value) bool { return strings.TrimSpace(w.Text) == "" }
	for _, o := range backendOptions() {
		if o.name != replicationDevice {
			continue
		}
		for _, b := range v.c.Backends {
			i := slices.IndexFunc(b.ReplicationDevices, nameless)
			if i < 0 || v.bad(b.Section, o.name) {
				continue
			}
			lines := slices.DeleteFunc(written(v.c.settings, o, b.Section), blank)
			v.option(o.name, b.Section, "needs a backend_id: the mirror backend of stoker volume is failed over to it by that name",
				lines[:min(i+1, len(lines))], o.printed, o.show(&b))
		}
	}
}

// missingBackends are those of EnabledBackends that are not described.
func (c Config) missingBackends() []string {
	return slices.DeleteFunc(slices.Clone(c.EnabledBackends), func(name string) bool {
		return slices.ContainsFunc(c.Backends, func(b Backend) bool { return b.Section == name })
	})
}

// rule adds a fault of one of options, unless that has one already.
func (v *validator) rule(group, name, format string, args ...any) {
	for _, o := range options() {
		if section := o.section(&v.c); o.group == group && o.name == name && !v.bad(section, name) {
			v.option(name, section, fmt.Sprintf(format, args...), written(v.c.settings, o, section), o.printed, o.show(&v.c))
		}
	}
}
