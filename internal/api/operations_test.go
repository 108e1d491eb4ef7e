package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"stoker/internal/cinder"
)

type operations struct {
	Operations []map[string]any
	Links      []struct{ Rel, Href string } `json:"operations_links"`
}

func (r *rig) operations(t *testing.T, query string) operations {
	t.Helper()
	got := r.do(t, ask{path: "/stoker/v1/operations" + query})
	var list operations
	if err := json.Unmarshal(got.body, &list); got.status != 200 || err != nil {
		t.Fatalf("%s: %d %s, %v", query, got.status, got.body, err)
	}
	return list
}

// Every change is in the journal, with who asked for it, and found by what it is.
func TestJournal(t *testing.T) {
	r := newRig(t, withFleet(&fleet{}))
	r.service(t, cinder.BinaryVolume, "a@b", nil)
	r.service(t, cinder.BinaryVolume, "a@c", nil)
	r.service(t, cinder.BinaryBackup, "k", nil)
	var ids []string
	for _, a := range []ask{
		{method: "PUT", path: "{P}/os-services/disable-log-reason", body: `{"host": "a@b", "binary": "cinder-volume", "disabled_reason": "swap"}`},
		{method: "PUT", path: "{P}/os-services/enable", body: `{"host": "a@b", "binary": "cinder-volume"}`},
		{method: "PUT", path: "{P}/os-services/freeze", version: "3.26", body: `{"host": "a@c"}`},
		{method: "PUT", path: "{P}/os-services/disable", body: `{"host": "k", "binary": "cinder-backup"}`, token: "ada:" + project},
	} {
		got := r.do(t, a)
		if got.status != 200 {
			t.Fatalf("%d %s", got.status, got.body)
		}
		ids = append(ids, got.header.Get("X-Stoker-Operation"))
	}
	for query, want := range map[string][]int{
		"":                                    {3, 2, 1, 0},
		"?host=a":                             {2, 1, 0},
		"?host=a@b":                           {1, 0},
		"?host=A@b":                           {},
		"?kind=freeze":                        {2},
		"?state=open":                         {},
		"?state=done&kind=disable":            {3, 0},
		"?user_id=ada":                        {3},
		"?binary=cinder-backup":               {3},
		"?before=2026-01-01T00:00:00":         {},
		"?since=2026-01-01T00:00:00Z&limit=2": {3, 2},
	} {
		var got []string
		for _, op := range r.operations(t, query).Operations {
			got = append(got, op["id"].(string))
		}
		var expected []string
		for _, i := range want {
			expected = append(expected, ids[i])
		}
		if fmt.Sprint(got) != fmt.Sprint(expected) {
			t.Errorf("%s: got %v, want %v", query, got, expected)
		}
	}
	one := r.do(t, ask{path: "/stoker/v1/operations/" + ids[0]})
	for _, has := range []string{`"user_id":"admin"`, `"kind":"disable"`, `"detail":"swap"`, `"address":"127.0.0.1"`, `"request_id":"req-`, `"state":"done"`} {
		if !strings.Contains(string(one.body), has) {
			t.Errorf("operation has no %s: %s", has, one.body)
		}
	}
}

// Pages together are the list, each operation once.
func TestPages(t *testing.T) {
	r := newRig(t, withFleet(&fleet{}))
	r.service(t, cinder.BinaryVolume, "a@b", nil)
	want := 7
	for range want {
		r.do(t, ask{method: "PUT", path: "{P}/os-services/disable", body: `{"host": "a@b", "binary": "cinder-volume"}`})
	}
	seen := map[string]bool{}
	query := "?limit=3&host=a"
	for range 4 {
		page := r.operations(t, query)
		for _, op := range page.Operations {
			seen[op["id"].(string)] = true
		}
		if len(page.Links) == 0 {
			break
		}
		next, err := url.Parse(page.Links[0].Href)
		if err != nil || page.Links[0].Rel != "next" || next.Host != r.address {
			t.Fatalf("%+v, %v", page.Links, err)
		}
		query = "?" + next.RawQuery
	}
	if len(seen) != want {
		t.Errorf("%d operations on all pages, want %d", len(seen), want)
	}
}

func TestOwnRoutesAreGuarded(t *testing.T) {
	r := newRig(t, parts{policy: deny{}})
	tests := []struct {
		name   string
		ask    ask
		status int
		says   string
	}{
		{"no token", ask{path: "/stoker/v1/operations", token: "-"}, 401, "requires authentication"},
		{"not allowed to list", ask{path: "/stoker/v1/operations"}, 403, "stoker:operations:index"},
		{"not allowed to show", ask{path: "/stoker/v1/operations/x"}, 403, "stoker:operations:index"},
		{"not allowed to abort", ask{method: "POST", path: "/stoker/v1/operations/x/abort"}, 403, "stoker:operations:abort"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := r.do(t, tt.ask)
			if got.status != tt.status || !strings.Contains(string(got.body), tt.says) {
				t.Errorf("%d %s, want %d with %q", got.status, got.body, tt.status, tt.says)
			}
		})
	}
}

func TestBadOperationRequests(t *testing.T) {
	r := newRig(t, parts{})
	for path, want := range map[string]int{
		"/stoker/v1/operations?hots=a":       400,
		"/stoker/v1/operations?limit=0":      400,
		"/stoker/v1/operations?limit=x":      400,
		"/stoker/v1/operations?since=monday": 400,
		"/stoker/v1/operations?marker=none":  404,
		"/stoker/v1/operations/none":         404,
		"/stoker/v1/operations/none/abort":   404, // a GET
	} {
		if got := r.do(t, ask{path: path}); got.status != want {
			t.Errorf("%s: %d %s, want %d", path, got.status, got.body, want)
		}
	}
	if got := r.do(t, ask{method: "POST", path: "/stoker/v1/operations/none/abort"}); got.status != 404 {
		t.Errorf("abort of nothing: %d %s", got.status, got.body)
	}
}

// A failover whose service is there is not aborted, and the answer says why.
func TestAbortIsRefused(t *testing.T) {
	r := newRig(t, withFleet(&fleet{}))
	r.service(t, cinder.BinaryVolume, "a@b", nil)
	got := r.do(t, ask{method: "PUT", path: "{P}/os-services/failover_host", body: `{"host": "a@b"}`})
	if got.status != 202 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	id := got.header.Get("X-Stoker-Operation")
	r.exec(t, `UPDATE stoker_operations SET started_at = ?`, stamp(1e12))
	got = r.do(t, ask{method: "POST", path: "/stoker/v1/operations/" + id + "/abort"})
	name, message := got.fault(t)
	if got.status != 409 || name != "conflictingRequest" || !strings.Contains(message, "is up and may still carry it out") || got.header.Get("X-Stoker-Operation") != id {
		t.Errorf("%d %s %q", got.status, name, message)
	}
}

// deny allows nobody anything.
type deny struct{}

func (deny) Allow(_ context.Context, _ cinder.Caller, rule string) error {
	return cinder.Errorf(cinder.KindForbidden, "Policy doesn't allow %s to be performed.", rule)
}
