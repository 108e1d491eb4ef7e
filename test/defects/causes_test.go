package defects

import (
	"strings"
	"testing"

	"stoker/test/cloud"
)

// Cinder enables it: enabled and frozen at once.
func TestEnableOfAFrozenService(t *testing.T) {
	byHostAndCluster(t, func(t *testing.T, p place) {
		t.Helper()
		p.ends(t, p.does(t, "freeze", ok, ""), "done", "")
		one := p
		one.target = map[string]any{"host": p.hosts[0], "binary": "cinder-volume"}
		before := p.newest(t, "enable")
		one.does(t, "enable", invalid, "is frozen: thaw it to enable it")
		p.is(t, frozen)
		if after := p.newest(t, "enable"); after.ID != before.ID {
			t.Errorf("the journal has an enable: %+v", after)
		}
		p.ends(t, p.does(t, "thaw", ok, ""), "done", "")
		p.is(t, healthy)
	})
}

// Cinder's thaw enables it, and the reason is lost.
func TestThawOfAServiceThatIsDisabled(t *testing.T) {
	byHostAndCluster(t, func(t *testing.T, p place) {
		t.Helper()
		const swap = "disabled 'disk swap' enabled"
		each := func(action string, more ...string) {
			t.Helper()
			for _, h := range p.hosts {
				one := p
				one.target = map[string]any{"host": h, "binary": "cinder-volume"}
				p.ends(t, one.does(t, action, ok, "", more...), "done", "")
			}
		}
		each("disable-log-reason", "disabled_reason", "disk swap")
		p.is(t, swap)
		p.ends(t, p.does(t, "freeze", ok, ""), "done", "")
		p.is(t, frozen)
		p.ends(t, p.does(t, "thaw", ok, ""), "done", "")
		p.is(t, swap)
		each("enable")
		p.is(t, healthy)
	})
}

// Cinder's thaw enables a service that is failed over.
func TestThawOfAServiceThatIsFailedOver(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		t.Helper()
		p.ends(t, p.does(t, "freeze", ok, ""), "done", "")
		p.ends(t, p.does(t, "failover", accepted, "", "backend_id", "site-b"), "done", "site-b")
		p.becomes(t, onSiteB+" frozen")
		p.ends(t, p.does(t, "thaw", ok, ""), "done", "")
		p.is(t, onSiteB)
		p.ends(t, p.does(t, "failover", accepted, "", "backend_id", "default"), "done", "default")
		p.becomes(t, healthy)
	})
}

// Cinder enables a disabled service that registers again, as it does when an
// administrator removes one that lives.
func TestRemovedServiceRegistersAgain(t *testing.T) { byHost(t, removedServiceRegistersAgain) }

func removedServiceRegistersAgain(t *testing.T, p place) {
	t.Helper()
	volume := p.volumes["host1"]
	beta := place{p.site, map[string]any{"host": "host1@beta", "binary": "cinder-volume"}, []string{"host1@beta"}}
	beta.does(t, "disable-log-reason", ok, "", "disabled_reason", "disk swap")
	beta.is(t, "disabled 'disk swap' disabled")
	p.does(t, "freeze", ok, "")

	for _, host := range []string{"host1@alpha", "host1@beta"} {
		in := p.Options.Release
		manage := in.Command(t.Context(), in.Need(t, "Cinder", "/usr/bin/cinder-manage"), "--config-file", volume.Conf, "service", "remove", "cinder-volume", host)
		if out, err := manage.CombinedOutput(); err != nil {
			t.Fatalf("cinder-manage: %v\n%s", err, out)
		}
	}
	for host, want := range map[string][2]string{"host1@alpha": {"disabled 'frozen'", "frozen"}, "host1@beta": {"disabled 'disk swap'", ""}} {
		cloud.Eventually(t, host+" is again "+want[0], func() bool {
			row := p.Rows(t)[host]
			return strings.HasPrefix(row, want[0]) && strings.HasSuffix(row, want[1])
		})
		cloud.Eventually(t, "the journal says why", func() bool {
			for _, op := range p.api.Operations(t, map[string][]string{"kind": {"restore-disable"}, "host": {host}}) {
				if strings.Contains(op.Outcome, "removed, and registered anew") {
					return true
				}
			}
			return false
		})
	}
	// A new row says nothing of replication before the service starts again.
	volume.Service(t, "volume").Kill(t)
	volume.Service(t, "volume").Start(t)
	p.does(t, "thaw", ok, "")
	p.is(t, healthy)
	beta.does(t, "enable", ok, "")
	beta.is(t, "enabled disabled")
}
