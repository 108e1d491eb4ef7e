package config

import (
	"slices"
	"time"

	"stoker/internal/osloconf"
)

// Warnings are what is allowed and yet unlikely to be meant, for a process that
// is not alone. They are in the form of faults.
func (c Config) Warnings(use Use) []Fault {
	const def = osloconf.DefaultGroup
	v := validator{c: c, use: use}
	if use == ForDatabase {
		return nil
	}
	if c.MemoryBus() && (use == ForAll || use == ForAPI) { // a fault for the others
		old := ""
		if c.namesBroker() {
			old = "; rabbit_host and the like are not read, as in Cinder"
		}
		v.rule(def, "transport_url", "reaches no other process: no command gets to a service. Name a broker, rabbit://USER:PASSWORD@HOST:PORT/VHOST%s", old)
	}
	if down := c.ServiceDownTime(); down != c.DownTime && c.DownTime > 0 && use != ForAPI {
		v.rule(def, "report_interval", "is not below service_down_time (%v): services take %v as service_down_time. Set it for cinder-api and stoker api too, or they show them as down",
			c.DownTime.Seconds(), down.Seconds())
	}
	if c.Cluster != "" && c.Rabbit.StreamFanout && (use == ForAll || use == ForVolume) {
		v.rule(groupRabbit, "rabbit_stream_fanout", "in a cluster: each cinder-volume that starts is told once more of the cluster's last failover, however old, "+
			"and disables itself again if that led to another site. doc/guarantees.md says what is put right; Stoker's own members do not listen to it")
	}
	return v.found
}

// MemoryBus says whether the bus is one inside the process.
func (c Config) MemoryBus() bool { return c.TransportURL.Scheme() == "memory" }

// ServiceDownTime is service_down_time as a service takes it: one that reports
// less often than that takes 2.5 times its report_interval, as in Cinder.
func (c Config) ServiceDownTime() time.Duration {
	if c.DownTime > c.ReportInterval {
		return c.DownTime
	}
	return (c.ReportInterval * 5 / 2).Truncate(time.Second)
}

// oldBroker are the options that named a broker before transport_url did.
func oldBroker() []string {
	return []string{"rabbit_host", "rabbit_hosts", "rabbit_port", "rabbit_userid", "rabbit_password", "rabbit_virtual_host"}
}

// namesBroker says whether a broker is named in a way that nobody reads any more.
func (c Config) namesBroker() bool {
	return slices.ContainsFunc(oldBroker(), func(name string) bool {
		_, here := c.settings.Get(osloconf.DefaultGroup, name)
		_, there := c.settings.Get(groupRabbit, name)
		return here || there
	})
}
