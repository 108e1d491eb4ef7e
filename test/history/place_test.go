package history

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"stoker/test/load"
	"stoker/test/site"
)

// place is the target of changes: a service, or a cluster of two.
type place struct {
	name    string
	hosts   []string // of the services: itself, or the members
	cluster bool
	sites   []string // that it can be failed over to, with its own
	fleet   *site.Fleet
	backend string
}

// places are the targets that callers, and only they, change.
func places(own, python, member *site.Fleet, members ...string) []*place {
	sites := []string{"site-b", "site-c", home, home}
	var all []*place
	for _, f := range []*site.Fleet{own, python} {
		alpha, beta := f.Host+"@alpha", f.Host+"@beta"
		all = append(all,
			&place{name: alpha, hosts: []string{alpha}, sites: sites, fleet: f, backend: "alpha"},
			&place{name: beta, hosts: []string{beta}, fleet: f, backend: "beta"})
	}
	return append(all, &place{name: member.Cluster + "@alpha", hosts: members, cluster: true, sites: sites, fleet: member, backend: "alpha"})
}

// home is the target of a failback.
const home = "default"

// look is a service in a list or a row. "" and null are the same here.
type look struct {
	Binary   string `json:"binary"`
	Host     string `json:"host"` // or the cluster
	Name     string `json:"name"`
	Status   string `json:"status"`
	Reason   string `json:"disabled_reason"`
	Frozen   bool   `json:"frozen"`
	Moved    string `json:"replication_status"`
	Site     string `json:"active_backend_id"`
	Disabled bool   `json:"-"`
}

func (l look) String() string {
	text := l.Status
	if l.Reason != "" {
		text += " '" + l.Reason + "'"
	}
	if l.Frozen {
		text += " frozen"
	}
	text += " " + l.Moved
	if l.Site != "" {
		text += " on " + l.Site
	}
	return text
}

// listed returns the volume services, or the clusters, in the answer to a list.
func listed(body string) (map[string]look, error) {
	var list struct {
		Services []look `json:"services"`
		Clusters []look `json:"clusters"`
	}
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		return nil, fmt.Errorf("%s: %w", body, err)
	}
	found := map[string]look{}
	for _, l := range slices.Concat(list.Services, list.Clusters) {
		if l.Binary == volume {
			l.Disabled, l.Host = l.Status == "disabled", l.Host+l.Name
			found[l.Host] = l
		}
	}
	return found, nil
}

const volume = "cinder-volume"

// is reports whether a host or cluster is the place or one of its members.
func (p *place) is(name string) bool { return p.name == name || slices.Contains(p.hosts, name) }

// of returns the looks at the members of a place; nil when one is missing.
func (p *place) of(found map[string]look) []look {
	var all []look
	for _, h := range p.hosts {
		l, ok := found[h]
		if !ok {
			return nil
		}
		all = append(all, l)
	}
	return all
}

// rows returns the volume services' rows.
func (h *history) rows(t *testing.T) map[string]look {
	t.Helper()
	rows, err := h.DB.QueryContext(t.Context(), "SELECT host, disabled, COALESCE(disabled_reason, ''), frozen, COALESCE(replication_status, ''), COALESCE(active_backend_id, '')"+
		" FROM services WHERE NOT deleted AND `binary` = '"+volume+"'")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	found := map[string]look{}
	for rows.Next() {
		l := look{Binary: volume, Status: "enabled"}
		if err := rows.Scan(&l.Host, &l.Disabled, &l.Reason, &l.Frozen, &l.Moved, &l.Site); err != nil {
			t.Fatal(err)
		}
		if l.Disabled {
			l.Status = "disabled"
		}
		found[l.Host] = l
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

// agreed waits until both APIs show what the rows say for every place: late commands
// are undone first.
func (h *history) agreed(t *testing.T) map[string]look {
	t.Helper()
	var rows map[string]look
	var differs string
	so := func() bool {
		rows, differs = h.rows(t), ""
		for i := range h.apis {
			s := h.send(t.Context(), &sent{what: "list", api: i, limit: load.Deadline})
			for _, p := range h.places {
				got, want := p.of(s.shows), p.of(rows)
				if !slices.Equal(got, want) {
					differs = fmt.Sprintf("%s: %d %v, the rows say %v", p.name, s.answer.Status, got, want)
				}
			}
		}
		return differs == ""
	}
	defer func() {
		if t.Failed() {
			t.Logf("lists and rows: %s", differs)
		}
	}()
	load.Within(t, settledWithin, "lists show what the rows say", so)
	return rows
}
