package interop

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"stoker/test/cloud"
	"stoker/test/peers"
)

// oddTexts sends both APIs texts that MariaDB has ways of its own with, on tables
// that keep characters of three bytes at most: they answer alike.
func oddTexts(t *testing.T, in peers.Release, ours, cinder cloud.API) {
	t.Helper()
	const (
		face    = "\U0001F600"
		missing = http.StatusNotFound
	)
	type object map[string]any
	volume := object{"host": "host1@alpha", "binary": "cinder-volume"}
	with := func(o object, field, text string) object {
		changed := object{field: text}
		for name, value := range o {
			if name != field {
				changed[name] = value
			}
		}
		return changed
	}
	for _, tt := range []struct {
		name, path string
		body       object // nil for a GET
		status     int
		says       string // a word of both answers
	}{
		{name: "list of a host of four bytes", path: "os-services?host=%F0%9F%98%80", status: ok, says: `[]`},
		{name: "list of a binary of four bytes", path: "os-services?binary=%F0%9F%98%80", status: ok, says: `[]`},
		{name: "list of a host in capitals", path: "os-services?host=HOST1@ALPHA", status: ok, says: `[]`},
		{name: "list of a host with a space", path: "os-services?host=host1@alpha%20", status: ok, says: `[]`},
		{name: "list of a host with an accent", path: "os-services?host=h%C3%B3st1@alpha", status: ok, says: `[]`},
		{name: "list of a host with a combining mark", path: "os-services?host=ho%CC%88st1@alpha", status: ok, says: `[]`},
		{name: "list of a host of a control character", path: "os-services?host=%C2%9B", status: ok, says: `[]`},
		{name: "list of a host that is no character", path: "os-services?host=%EF%BF%BF", status: ok, says: `[]`},
		{name: "list of a host that is too long", path: "os-services?host=" + strings.Repeat("x", 300), status: ok, says: `[]`},
		{name: "clusters of a name of four bytes", path: "clusters?name=%F0%9F%98%80", status: ok, says: `[]`},
		{name: "clusters of a binary of four bytes", path: "clusters?binary=%F0%9F%98%80", status: ok, says: `[]`},
		{name: "clusters on a site of four bytes", path: "clusters?active_backend_id=%F0%9F%98%80", status: ok, says: `[]`},
		{name: "clusters in a status of four bytes", path: "clusters?replication_status=%F0%9F%98%80", status: ok, says: `[]`},
		{name: "cluster of four bytes", path: "clusters/%F0%9F%98%80", status: missing, says: "could not be found"},
		{name: "disable of a binary of four bytes", path: "os-services/disable", body: with(volume, "binary", face), status: missing, says: "could not be found on host host1@alpha"},
		{name: "enable of a host in capitals", path: "os-services/enable", body: with(volume, "host", "HOST1@alpha"), status: missing, says: "could not be found on host HOST1@alpha"},
		{name: "disable of a host of four bytes", path: "os-services/disable", body: with(volume, "host", face), status: bad, says: "host"},
		{name: "freeze of a cluster of four bytes", path: "os-services/freeze", body: object{"cluster": face}, status: bad, says: "No service found with cluster="},
		{name: "thaw of a cluster of four bytes", path: "os-services/thaw", body: object{"cluster": face}, status: bad, says: "No service found with cluster="},
		{name: "failover of a cluster of four bytes", path: "os-services/failover", body: object{"cluster": face}, status: bad, says: "No service found with cluster="},
		{name: "failover of nobody to four bytes", path: "os-services/failover_host", body: object{"host": "nope", "backend_id": face}, status: bad, says: "No service found with host=nope"},
		{name: "enable of a cluster of four bytes", path: "clusters/enable", body: object{"name": face}, status: missing, says: "could not be found"},
		{name: "enable of a cluster's binary of four bytes", path: "clusters/enable", body: object{"name": "nope", "binary": face}, status: missing, says: "could not be found"},
		{name: "levels of a server of four bytes", path: "os-services/get-log", body: object{"server": face}, status: ok, says: `[]`},
		{name: "set-log of a server of four bytes", path: "os-services/set-log", body: object{"server": face, "level": "INFO"}, status: accepted},
		{name: "a level of four bytes", path: "os-services/set-log", body: object{"level": face}, status: bad, says: "is not a valid log level"},
	} {
		for _, a := range []cloud.API{ours, cinder} {
			method, body := http.MethodGet, any(nil)
			if tt.body != nil {
				method, body = http.MethodPut, tt.body
			}
			path := tt.path
			if path == "os-services/failover" {
				path = "os-services/" + failover(in, a == ours)
			}
			got, err := a.Ask(t.Context(), method, path, cloud.Newest, body)
			if err != nil {
				t.Fatalf("%s: %s: %v", tt.name, a.Name, err)
			}
			if got.Status != tt.status || !strings.Contains(got.Body, tt.says) || got.Body != "" && !json.Valid([]byte(got.Body)) {
				t.Errorf("%s: %s: %d %s, want %d with %q", tt.name, a.Name, got.Status, got.Body, tt.status, tt.says)
			}
		}
	}
}
