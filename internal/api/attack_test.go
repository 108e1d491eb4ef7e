package api_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
)

// A token counts in its header alone, and what stands elsewhere is not logged.
func TestTokensElsewhere(t *testing.T) {
	const token = "admin:" + project
	r := newRig(t, parts{level: slog.LevelDebug})
	for _, a := range []ask{
		{path: "{P}/os-services?X-Auth-Token=" + token},
		{path: "{P}/os-services?token=" + token},
		{path: "{P}/os-services?auth_token=" + token + "&host=x"},
		{path: "{P}/os-services", header: []string{"Authorization: Bearer " + token}},
		{path: "{P}/os-services", header: []string{"Cookie: X-Auth-Token=" + token}},
		{path: "{P}/os-services", header: []string{"X_Auth_Token: " + token}},
		{path: "{P}/os-services", header: []string{"X-Subject-Token: " + token}},
		{path: "{P}/os-services", header: []string{"X-Service-Token: " + token}},
		{method: "PUT", path: "{P}/os-services/enable", body: `{"auth_token": "` + token + `"}`},
	} {
		a.token = "-"
		if got := r.do(t, a); got.status != http.StatusUnauthorized {
			t.Errorf("%v: got %d, want 401", a, got.status)
		}
	}
	if strings.Contains(r.log.String(), token) {
		t.Errorf("the token is in the log:\n%s", r.log)
	}
}

// Who a client says that he is does not count (noauth believes the token alone).
func TestIdentityHeaders(t *testing.T) {
	r := newRig(t, parts{policy: &denies{rule: "-"}})
	spoof := []string{
		"X-User-Id: root", "X-Roles: admin", "X-Role: admin", "X-Is-Admin: True", "X-Is-Admin-Project: True", "X-Project-Id: " + project,
		"X-Tenant-Id: " + project, "X-Identity-Status: Confirmed", "X-Service-Roles: service", "Openstack-System-Scope: all", "X-Domain-Id: default",
	}
	if got := r.do(t, ask{path: "{P}/os-services", token: "-", header: spoof}); got.status != http.StatusUnauthorized {
		t.Errorf("without a token: %d", got.status)
	}
	f := &fleet{}
	r = newRig(t, withFleet(f))
	r.service(t, cinder.BinaryVolume, "a@b", nil)
	r.do(t, ask{method: "PUT", path: "/v3/os-services/freeze", token: "bob:" + project, version: "3.26", body: `{"host": "a@b"}`, header: spoof})
	if len(f.callers) != 1 || f.callers[0].UserID != "bob" || f.callers[0].SystemScope != "" || f.callers[0].DomainID != "" || f.callers[0].Service.Roles != nil {
		t.Errorf("the caller is %+v, want bob alone", f.callers)
	}
}

// What is not the caller's project is refused, whatever stands in the path.
func TestOtherProjects(t *testing.T) {
	r := newRig(t, parts{})
	r.service(t, cinder.BinaryVolume, "a@b", nil)
	before := r.rows(t)
	const other = "ffffffffffffffffffffffffffffffff"
	for _, a := range []ask{
		{path: "/v3/" + other + "/os-services"},
		{path: "//v3//" + other + "//os-services"},
		{path: "/v3/" + other + "%2Fos-services"},
		{path: "/v3/" + other + "/clusters", version: "3.7"},
		{method: "PUT", path: "/v3/" + other + "/os-services/disable", body: `{"host": "a@b", "binary": "cinder-volume"}`},
		{method: "PUT", path: "/v3/" + other + "/os-services/freeze", body: `{"host": "a@b"}`},
	} {
		got := r.do(t, a)
		if _, message := got.fault(t); got.status != 400 || message != "Malformed request url" {
			t.Errorf("%s: got %d %q", a.path, got.status, message)
		}
	}
	if diff := cmp.Diff(before, r.rows(t)); diff != "" {
		t.Errorf("rows changed: -was +is\n%s", diff)
	}
}

// What a client sends cannot begin a line of the log, nor hide in one.
func TestLogInjection(t *testing.T) {
	r := newRig(t, parts{level: slog.LevelDebug})
	r.service(t, cinder.BinaryVolume, "a@b", nil)
	const line = "\ntime=2026-01-01T00:00:00.000Z level=ERROR msg=forged"
	quoted := func(s string) string { b, err := json.Marshal(s); check(t, err); return string(b) }
	for _, a := range []ask{
		{path: "/v3/os-services%0atime=x%20level=ERROR%20msg=forged"},
		{path: "/v3/os-services%0d%0atime=x%20level=ERROR%20msg=forged%1b%5b31m"},
		{path: "/v3/clusters/%0atime=x%20msg=forged", version: "3.7"},
		{path: "{P}/os-services?host=%0atime=x%20msg=forged"},
		{path: "/nothing%e2%80%a8time=x%20msg=forged", token: "-"},
		{path: "{P}/os-services", token: "bob\x1b[2J:" + project},
		{path: "{P}/os-services", header: []string{"X-Openstack-Request-Id: req-\x1b[31m msg=forged"}},
		{path: "{P}/os-services", header: []string{"X-Forwarded-For: x msg=forged"}},
		{method: "PUT", path: "{P}/os-services/disable", body: `{"host": ` + quoted(line) + `, "binary": "cinder-volume"}`},
		{method: "PUT", path: "{P}/os-services/disable-log-reason", body: `{"host": "a@b", "binary": "cinder-volume", "disabled_reason": ` + quoted(line) + `}`},
		{method: "PUT", path: "{P}/os-services/freeze", body: `{"host": "a@b\u001b[2J` + `"}`},
		{method: "FORGED\x1b", path: "{P}/os-services"},
	} {
		r.do(t, a)
	}
	log := strings.TrimSuffix(r.log.String(), "\n")
	if !strings.Contains(log, "forged") {
		t.Errorf("nothing of it was logged:\n%s", log)
	}
	for l := range strings.SplitSeq(log, "\n") {
		if !strings.HasPrefix(l, "time=20") || strings.HasPrefix(l, "time=2026-01-01") {
			t.Errorf("a line that we did not begin: %q", l)
		}
		if strings.Contains(l, " msg=forged") && !strings.Contains(l, `\n`) && !strings.Contains(l, `"`) {
			t.Errorf("a field that we did not write: %q", l)
		}
		for _, c := range l {
			if c < ' ' || c == 0x7f || c == 0x2028 {
				t.Errorf("a control character in %q", l)
				break
			}
		}
	}
}

// Nothing that a client sends is SQL.
func TestSQLInEveryField(t *testing.T) {
	r := newRig(t, parts{})
	r.service(t, cinder.BinaryVolume, "a@b", nil)
	r.service(t, cinder.BinaryBackup, "bak", nil)
	r.insert(t, "clusters", map[string]any{
		"created_at": stamp(0), "deleted": false, "name": "cl@b", "binary": cinder.BinaryVolume, "disabled": false, "race_preventer": 0,
		"replication_status": "enabled", "frozen": false,
	})
	before := r.rows(t)
	for _, sql := range []string{
		`' OR '1'='1`, `' OR 1=1 --`, `x'; DROP TABLE services; --`, `" OR ""="`, `\' OR 1=1 #`, "`; DELETE FROM services; --", `a@b' UNION SELECT 1,2,3 --`,
		`%' OR '%'='`, `$1`, `?`, `:host`, `a@b'||'`, `a@b"/*`, "a@b\u02bc OR 1=1", `1);ATTACH DATABASE 'x' AS x;--`, `%s`, `{{7*7}}`, `${jndi:x}`,
	} {
		b, err := json.Marshal(sql)
		check(t, err)
		text, query := string(b), strings.NewReplacer("%", "%25", " ", "%20", "&", "%26", "#", "%23", "+", "%2b", ";", "%3b", "?", "%3f", "\u02bc", "%CA%BC").Replace(sql)
		for _, a := range []ask{
			{path: "{P}/os-services?host=" + query},
			{path: "{P}/os-services?binary=" + query},
			{path: "{P}/clusters?name=" + query, version: "3.26"},
			{path: "{P}/clusters?replication_status=" + query, version: "3.26"},
			{path: "{P}/clusters?active_backend_id=" + query, version: "3.26"},
			{path: "{P}/clusters/" + query, version: "3.7"},
			{path: "/stoker/v1/operations?host=" + query + "&user_id=" + query},
			{path: "/stoker/v1/operations/" + query},
			{method: "PUT", path: "{P}/os-services/disable", body: `{"host": ` + text + `, "binary": "cinder-volume"}`},
			{method: "PUT", path: "{P}/os-services/enable", body: `{"host": "a@b", "binary": ` + text + `}`},
			{method: "PUT", path: "{P}/os-services/freeze", version: "3.26", body: `{"cluster": ` + text + `}`},
			{method: "PUT", path: "{P}/os-services/failover", version: "3.26", body: `{"host": ` + text + `, "backend_id": ` + text + `}`},
			{method: "PUT", path: "{P}/os-services/get-log", version: "3.32", body: `{"binary": ` + text + `, "server": ` + text + `, "prefix": ` + text + `}`},
			{method: "PUT", path: "{P}/clusters/disable", version: "3.7", body: `{"name": ` + text + `, "binary": ` + text + `, "disabled_reason": ` + text + `}`},
			{path: "{P}/os-services", token: "x" + sql[:1] + ":" + project},
		} {
			got := r.do(t, a)
			if got.status >= 500 {
				t.Errorf("%s %s %s: %d %s", a.method, a.path, a.body, got.status, got.body)
			}
			if got.status == 200 && strings.Contains(a.path, "?") && (strings.Contains(string(got.body), `"a@b"`) || strings.Contains(string(got.body), `"cl@b"`)) {
				t.Errorf("%s finds what is not called so: %s", a.path, got.body)
			}
		}
	}
	if diff := cmp.Diff(before, r.rows(t)); diff != "" {
		t.Errorf("rows changed: -was +is\n%s", diff)
	}
	// A reason is a text like any other: it comes back as it was.
	const reason = `'; DROP TABLE services; -- "x" \`
	b, err := json.Marshal(map[string]string{"host": "a@b", "binary": "cinder-volume", "disabled_reason": reason})
	check(t, err)
	if got := r.do(t, ask{method: "PUT", path: "{P}/os-services/disable-log-reason", body: string(b)}); got.status != 200 {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	var list struct {
		Services []struct {
			Host   string
			Reason *string `json:"disabled_reason"`
		}
	}
	check(t, json.Unmarshal(r.do(t, ask{path: "{P}/os-services?host=a@b"}).body, &list))
	if len(list.Services) != 1 || list.Services[0].Reason == nil || *list.Services[0].Reason != reason {
		t.Errorf("the list is %+v", list)
	}
}

// A small body does not become a large one, and of two keys the last counts, for
// the check and for what is done.
func TestJSONBombs(t *testing.T) {
	r := newRig(t, parts{})
	r.service(t, cinder.BinaryVolume, "a@b", nil)
	r.service(t, cinder.BinaryVolume, "c@d", nil)
	put := func(body string) reply {
		return r.do(t, ask{method: "PUT", path: "{P}/os-services/disable", body: body})
	}
	keys := make([]string, 10000)
	for i := range keys {
		keys[i] = fmt.Sprintf(`"k%d":0`, i)
	}
	for name, body := range map[string]string{
		"deep lists":     strings.Repeat("[", 50000),
		"deep objects":   strings.Repeat(`{"a":`, 18000) + "1" + strings.Repeat("}", 18000),
		"many keys":      "{" + strings.Join(keys, ",") + "}",
		"a large number": `{"host": 1e308, "binary": ` + strings.Repeat("9", 100000) + `}`,
		"many escapes":   `{"host": "` + strings.Repeat(`\u0041`, 18000) + `", "binary": "x"}`,
		"a long text":    `{"host": "` + strings.Repeat("x", 110000) + `", "binary": "x"}`,
		"deep in a key":  `{"` + strings.Repeat("[", 50000) + `": 1}`,
	} {
		got := put(body)
		if got.status != 400 || len(got.body) > 4<<10 {
			t.Errorf("%s: got %d and %d bytes, want 400 and few: %.200s", name, got.status, len(got.body), got.body)
		}
	}
	if got := put(`{"host": "a@b", "binary": "cinder-volume", "host": "c@d"}`); got.status != 200 {
		t.Fatalf("two keys: %d %s", got.status, got.body)
	}
	body := string(r.do(t, ask{path: "{P}/os-services?host=a@b"}).body)
	if !strings.Contains(body, `"enabled"`) {
		t.Errorf("the first of two keys counted: %s", body)
	}
}
