package kill

import (
	"database/sql"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"stoker/test/load"
)

// notes are the answers that administrators got.
type notes struct {
	mu    sync.Mutex
	told  map[string]load.Answer // guarded by mu; the last answer for each operation
	wrong []string               // guarded by mu; lists that showed half a change
	lists int                    // guarded by mu
	no    int                    // guarded by mu; changes answered with 503
}

func newNotes() *notes { return &notes{told: map[string]load.Answer{}} }

// refused is the number of changes answered with 503.
func (n *notes) refused() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.no
}

// see records a client's answer.
func (n *notes) see(r load.Request, a load.Answer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if a.Operation != "" {
		n.told[a.Operation] = a
	}
	if r.Body != nil && a.Status == http.StatusServiceUnavailable {
		n.no++
	}
	if r.Body != nil || a.Status != http.StatusOK {
		return
	}
	n.lists++
	var list struct {
		Services []struct {
			Binary      string  `json:"binary"`
			Host        string  `json:"host"`
			Status      string  `json:"status"`
			Reason      *string `json:"disabled_reason"`
			Replication *string `json:"replication_status"`
			Site        *string `json:"active_backend_id"`
			Frozen      *bool   `json:"frozen"`
		} `json:"services"`
	}
	if err := json.Unmarshal([]byte(a.Body), &list); err != nil {
		n.wrong = append(n.wrong, err.Error())
		return
	}
	for _, s := range list.Services {
		l := line(s.Status, s.Reason, s.Replication, s.Site, s.Frozen)
		if s.Binary == "cinder-volume" && !possible(s.Host, l) {
			n.wrong = append(n.wrong, s.Host+": "+l)
		}
	}
}

// possible reports whether a list may show this for a service that administrators
// change like load.Administrators.
func possible(host, line string) bool {
	may := map[string][]string{
		"alpha": {home, wayOut, wayOutLate, onSiteB, wayBack},
		"beta":  {"enabled disabled", "disabled 'frozen' disabled frozen"},
		"gamma": {home, "disabled 'disk swap' enabled"},
	}
	_, backend, _ := strings.Cut(host, "@")
	return slices.Contains(may[backend], line)
}

// acknowledged compares clients' answers with the journal.
func acknowledged(t *testing.T, db *sql.DB, told map[string]load.Answer) {
	t.Helper()
	checked := map[int]int{}
	for id, a := range told {
		var state, kind string
		if err := db.QueryRowContext(t.Context(), "SELECT state, kind FROM stoker_operations WHERE id = ?", id).Scan(&state, &kind); err != nil {
			t.Errorf("a client was told %d of operation %s: %v", a.Status, id, err)
			continue
		}
		checked[a.Status]++
		switch {
		case a.Status == http.StatusOK && state != "done",
			a.Status == http.StatusAccepted && kind != "failover" && state != "done",
			a.Status >= http.StatusBadRequest && a.Status != http.StatusGatewayTimeout && state == "done":
			t.Errorf("a client was told %d of a %s, which is %s: %s", a.Status, kind, state, id)
		}
	}
	t.Logf("operations that answers named, by status: %v", checked)
}
