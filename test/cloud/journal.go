package cloud

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"testing"
)

// Operation is an entry of the journal, as far as these tests look at it.
type Operation struct {
	ID      string   `json:"id"`
	Kind    string   `json:"kind"`
	State   string   `json:"state"`
	Outcome string   `json:"outcome"`
	Warning string   `json:"warning"`
	Overdue bool     `json:"overdue"`
	Host    string   `json:"host"`
	Cluster string   `json:"cluster"`
	LateBy  []string `json:"carried_out_late_by"`
	Caller  struct {
		UserID string `json:"user_id"`
	} `json:"caller"`
}

// Operations are those of the journal of Stoker's API that a query selects, the
// newest first.
func (a API) Operations(tb testing.TB, query url.Values) []Operation {
	tb.Helper()
	var list struct {
		Operations []Operation `json:"operations"`
	}
	a.own(tb, "/stoker/v1/operations?"+query.Encode(), &list)
	return list.Operations
}

// Operation is one of them.
func (a API) Operation(tb testing.TB, id string) Operation {
	tb.Helper()
	var one struct {
		Operation Operation `json:"operation"`
	}
	a.own(tb, "/stoker/v1/operations/"+id, &one)
	return one.Operation
}

// Abort asks for the end of an operation, and returns whatever the answer is.
func (a API) Abort(tb testing.TB, id string) Answer {
	tb.Helper()
	got, err := a.ask(tb.Context(), http.MethodPost, "/stoker/v1/operations/"+id+"/abort", Newest, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return got
}

// Announced says whether the services of these hosts have announced failover
// targets, and whether those are complete, as Stoker's API knows them.
func (a API) Announced(tb testing.TB, hosts []string, complete bool) bool {
	tb.Helper()
	var list struct {
		Services []struct {
			Host     string   `json:"host"`
			Targets  []string `json:"targets"`
			Complete bool     `json:"complete"`
		} `json:"failover_targets"`
	}
	a.own(tb, "/stoker/v1/failover-targets", &list)
	for _, s := range list.Services {
		if slices.Contains(hosts, s.Host) && (len(s.Targets) == 0 || s.Complete != complete) {
			return false
		}
	}
	return true
}

func (a API) own(tb testing.TB, path string, value any) {
	tb.Helper()
	got, err := a.ask(tb.Context(), http.MethodGet, path, Newest, nil)
	if err != nil {
		tb.Fatal(err)
	}
	if got.Status != http.StatusOK {
		tb.Fatalf("%s: GET %s: %d %s", a.Name, path, got.Status, got.Body)
	}
	if err := json.Unmarshal([]byte(got.Body), value); err != nil {
		tb.Fatalf("%v: %s", err, got.Body)
	}
}
