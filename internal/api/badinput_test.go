package api_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
)

// Bad input gets an answer that names what is wrong with it, and changes nothing.
func TestBadInput(t *testing.T) {
	const missing = "The resource could not be found."
	long := strings.Repeat("x", 256)
	put := func(path, version, body string) ask {
		return ask{method: "PUT", path: "{P}/" + path, version: version, body: body}
	}
	get := func(path, version string) ask { return ask{path: "{P}/" + path, version: version} }
	tests := []struct {
		name   string
		ask    ask
		status int
		says   string
	}{
		{"host with two newlines", put("os-services/enable", "3.0", `{"host": "a\n\n", "binary": "x"}`), 400, "attribute host."},
		{"host in brackets that nobody has", put("os-services/enable", "3.0", `{"host": "[dead:beef::1]", "binary": "x"}`), 404, "Service x could not be found on host [dead:beef::1]."},
		{"host that is a pattern", put("os-services/disable", "3.0", `{"host": "%", "binary": "cinder-volume"}`), 400, "attribute host."},
		{"host that is a pattern of one", put("os-services/disable", "3.0", `{"host": "_@b", "binary": "cinder-volume"}`), 404, "could not be found"},
		{"U+0000 in a host", put("os-services/disable", "3.0", `{"host": "a\u0000", "binary": "cinder-volume"}`), 400, "attribute host."},
		{"U+0000 in a binary", put("os-services/disable", "3.0", `{"host": "a@b", "binary": "cinder-volume\u0000"}`), 400, "attribute binary."},
		{"U+0000 in a cluster that is not looked at", put("os-services/disable", "3.0", `{"host": "a@b", "binary": "cinder-volume", "cluster": "\u0000"}`), 400, "attribute cluster."},
		{"half a character in a reason", put("os-services/disable-log-reason", "3.0", `{"host": "a@b", "binary": "cinder-volume", "disabled_reason": "a\ud800"}`), 400, "attribute disabled_reason."},
		{"reason of half spaces", put("os-services/disable-log-reason", "3.0", `{"host": "a@b", "binary": "cinder-volume", "disabled_reason": "\u2003\u001c"}`), 400, "attribute disabled_reason."},
		{"reason that is a number", put("os-services/disable-log-reason", "3.0", `{"host": "a@b", "binary": "cinder-volume", "disabled_reason": 1e999}`), 400, "attribute disabled_reason. Value: inf."},
		{"service in capitals", put("os-services/disable", "3.0", `{"host": "a@b", "binary": "CINDER-VOLUME"}`), 404, "Service CINDER-VOLUME could not be found"},
		{"field in capitals", put("os-services/disable", "3.0", `{"Host": "a@b", "binary": "cinder-volume"}`), 400, "'Host' was unexpected"},
		{"body that is a list of bodies", put("os-services/disable", "3.0", `[{"host": "a@b", "binary": "cinder-volume"}]`), 400, "is not of type 'object'"},
		{"two bodies", put("os-services/disable", "3.0", `{"host": "a@b", "binary": "cinder-volume"}{}`), 400, "Malformed request body"},
		{"a body in sixteen bits", put("os-services/disable", "3.0", "{\x00}\x00"), 400, "Malformed request body"},
		{"a body that is no text", put("os-services/disable", "3.0", "{\"host\": \"\xff\"}"), 400, "Malformed request body"},
		{"a body far too deep", put("os-services/disable", "3.0", strings.Repeat("[", 50000)), 400, "Malformed request body"},
		{"an object far too deep", put("os-services/disable", "3.0", strings.Repeat(`{"a":`, 20000)), 400, "Malformed request body"},
		{"a form", ask{method: "PUT", path: "{P}/os-services/disable", body: "host=a%40b&binary=cinder-volume", bare: true, header: []string{"Content-Type: application/x-www-form-urlencoded"}}, 415, "Unsupported Content-Type"},
		{"a JSON that is none of ours", ask{method: "PUT", path: "{P}/os-services/disable", body: `{}`, bare: true, header: []string{"Content-Type: application/json5"}}, 415, "Unsupported Content-Type"},
		{"space before the parameters of a type", ask{method: "PUT", path: "{P}/os-services/disable", body: `{}`, bare: true, header: []string{"Content-Type: application/json ; charset=utf-8"}}, 415, "Unsupported Content-Type"},

		{"freeze a cluster before there were any", put("os-services/freeze", "3.25", `{"cluster": "cl@b"}`), 400, "Host field is missing."},
		{"freeze both, of which one does not count", put("os-services/freeze", "3.25", `{"cluster": "cl@b", "host": "nope"}`), 400, "No service found with host=nope"},
		{"freeze both", put("os-services/freeze", "3.26", `{"cluster": "cl@b", "host": "nope"}`), 400, "One and only one of cluster and host must be set."},
		{"freeze no host", put("os-services/freeze", "3.26", `{"host": null, "cluster": ""}`), 400, "One and only one of cluster and host must be set."},
		{"freeze a backup", put("os-services/freeze", "3.26", `{"host": "bak"}`), 400, "No service found with host=bak"},
		{"U+0000 in a cluster", put("os-services/thaw", "3.26", `{"cluster": "a\u0000"}`), 400, "attribute cluster."},
		{"fail over to half a character", put("os-services/failover_host", "3.0", `{"host": "a@b", "backend_id": "\udc00"}`), 400, "attribute backend_id."},
		{"fail a cluster over as a host", put("os-services/failover_host", "3.26", `{"cluster": "cl@b"}`), 400, "Host field is missing."},
		{"fail a cluster over as a host, at 3.70", put("os-services/failover_host", "3.70", `{"cluster": "cl@b"}`), 400, "Host field is missing."},
		{"fail an unknown cluster over as a host", put("os-services/failover_host", "3.71", `{"cluster": "nope"}`), 400, "No service found with cluster=nope"},
		{"fail over both a host and a cluster", put("os-services/failover_host", "3.71", `{"host": "a@b", "cluster": "nope"}`), 400, "One and only one of cluster and host must be set."},
		{"fail over a cluster below 3.26", put("os-services/failover", "3.25", `{"cluster": "cl@b"}`), 400, "Host field is missing."},
		{"fail over to a number", put("os-services/failover", "3.26", `{"host": "a@b", "backend_id": 7}`), 400, "attribute backend_id."},

		{"level in another script", put("os-services/set-log", "3.32", `{"level": "ＩＮＦＯ"}`), 400, "is not a valid log level."},
		{"level with a space", put("os-services/set-log", "3.32", `{"level": "INFO "}`), 400, "INFO  is not a valid log level."},
		{"level that is a list", put("os-services/set-log", "3.32", `{"level": ["INFO"]}`), 400, "attribute level."},
		{"binary null", put("os-services/get-log", "3.32", `{"binary": null}`), 400, "attribute binary."},
		{"server too long", put("os-services/get-log", "3.32", `{"server": "`+long+`"}`), 400, "attribute server."},
		{"U+0000 in a prefix", put("os-services/set-log", "3.32", `{"prefix": "a\u0000", "level": "INFO"}`), 400, "attribute prefix."},
		{"unknown action", put("os-services/enabled", "3.71", `{}`), 400, "Invalid input received: Unknown action"},
		{"action of nothing", put("os-services/%20", "3.71", `{}`), 400, "Invalid input received: Unknown action"},
		{"action in capitals", put("os-services/Freeze", "3.71", `{}`), 400, "Invalid input received: Unknown action"},

		{"filter of half a character", get("os-services?host=%C3", "3.0"), 400, "could not be decoded"},
		{"another key of half a character", get("os-services?%C3=1", "3.0"), 400, "could not be decoded"},
		{"U+0000 in a filter", get("os-services?binary=a%00", "3.0"), 400, "binary contains U+0000"},
		{"filter of clusters too early", get("clusters?frozen=true", "3.25"), 400, "Invalid filter keys: frozen"},
		{"two unknown filters", get("clusters?b=1&a=2&b=3", "3.26"), 400, "Invalid filter keys: a, b"},
		{"filter without a key", get("clusters?=1", "3.26"), 400, "Invalid filter keys: "},
		{"semicolons separate", get("clusters?name=a;b", "3.26"), 400, "Invalid filter keys: b"},
		{"filter in capitals", get("clusters?Name=a", "3.26"), 400, "Invalid filter keys: Name"},
		{"a key before a value", get("clusters?is_up=zap&zap=1", "3.26"), 400, "Invalid filter keys: zap"},
		{"the first bad value", get("clusters?disabled=y2&is_up=zap", "3.26"), 400, "Value 'y2' for 'disabled' is not a boolean."},
		{"boolean of nothing", get("clusters?is_up=", "3.7"), 400, "Value '' for 'is_up' is not a boolean."},
		{"boolean without a value", get("clusters?is_up", "3.7"), 400, "Value '' for 'is_up' is not a boolean."},
		{"boolean with a space", get("clusters?is_up=true%20", "3.7"), 400, "Value 'true ' for 'is_up' is not a boolean."},
		{"frozen that is no boolean", get("clusters?frozen=zap", "3.26"), 400, "Value 'zap' for 'frozen' is not a boolean."},
		{"number of nothing", get("clusters?num_hosts=", "3.7"), 400, "Value '' for 'num_hosts' is not a number."},
		{"number with a point", get("clusters?num_down_hosts=1.0", "3.7"), 400, "Value '1.0' for 'num_down_hosts' is not a number."},
		{"number that is too large", get("clusters?num_hosts=99999999999999999999", "3.7"), 400, "is not a number."},
		{"cluster of half a character", get("clusters/%C3", "3.7"), 400, "could not be decoded"},
		{"cluster with U+0000", get("clusters/a%00", "3.7"), 400, "U+0000"},
		{"cluster in capitals", get("clusters/CL@B", "3.7"), 404, "could not be found"},
		{"operation of half a character", ask{path: "/stoker/v1/operations/%C3"}, 400, "could not be decoded"},
		{"operation with U+0000", ask{path: "/stoker/v1/operations/a%00"}, 400, "U+0000"},
		{"operation of four bytes", ask{path: "/stoker/v1/operations/%F0%9F%98%80"}, 404, "Operation \U0001F600 could not be found."},
		{"abort of half a character", ask{method: "POST", path: "/stoker/v1/operations/%C3/abort"}, 400, "could not be decoded"},
		{"abort with U+0000", ask{method: "POST", path: "/stoker/v1/operations/a%00/abort"}, 400, "U+0000"},
		{"cluster with a slash", get("clusters/cl%2Fb", "3.7"), 404, missing},
		{"cluster of spaces", put("clusters/enable", "3.7", `{"name": "\u2028"}`), 400, "The 'name' can not be empty."},
		{"cluster of U+0000", put("clusters/enable", "3.7", `{"name": "\u0000"}`), 400, "attribute name."},
		{"cluster's binary of nothing", put("clusters/disable", "3.7", `{"name": "cl@b", "binary": ""}`), 404, "could not be found"},
		{"cluster's reason for enabling", put("clusters/enable", "3.7", `{"name": "cl@b", "disabled_reason": "x"}`), 400, "'disabled_reason' was unexpected"},
		{"cluster's reason of spaces", put("clusters/disable", "3.7", `{"name": "cl@b", "disabled_reason": " "}`), 400, "attribute disabled_reason."},
		{"unknown action on a cluster", put("clusters/freeze", "3.71", `{"name": "cl@b"}`), 404, "Unknown action"},
	}
	r := newRig(t, parts{})
	r.service(t, cinder.BinaryVolume, "a@b", nil)
	r.service(t, cinder.BinaryBackup, "bak", nil)
	r.service(t, cinder.BinaryVolume, "n1@b", map[string]any{"cluster_name": "cl@b"})
	r.insert(t, "clusters", map[string]any{
		"created_at": stamp(0), "deleted": false, "name": "cl@b", "binary": cinder.BinaryVolume, "disabled": false, "race_preventer": 0,
		"replication_status": "enabled", "frozen": false,
	})
	before := r.rows(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := r.do(t, tt.ask)
			_, message := got.fault(t)
			if got.status != tt.status || !strings.Contains(message, tt.says) {
				t.Errorf("got %d %q, want %d with %q", got.status, message, tt.status, tt.says)
			}
			if op := got.header.Get("X-Stoker-Operation"); op != "" {
				t.Errorf("began operation %s", op)
			}
		})
	}
	if diff := cmp.Diff(before, r.rows(t)); diff != "" {
		t.Errorf("rows changed: -was +is\n%s", diff)
	}
}

// What clients send that looks odd and is right all the same.
func TestOddInput(t *testing.T) {
	r := newRig(t, parts{})
	r.service(t, cinder.BinaryVolume, "a@b", nil)
	enable := ask{method: "PUT", path: "{P}/os-services/enable", body: `{"host": "a@b", "binary": "cinder-volume"}`}
	tests := []struct {
		name string
		ask  ask
		has  string
	}{
		{"text around JSON", ask{method: enable.method, path: enable.path, body: " \r\n" + enable.body + "\t\n"}, "enabled"},
		{"a character set", ask{method: enable.method, path: enable.path, body: enable.body, bare: true, header: []string{"Content-Type: application/json;charset=latin1"}}, "enabled"},
		{"Cinder's own type", ask{method: enable.method, path: enable.path, body: enable.body, bare: true, header: []string{"Content-Type: application/vnd.openstack.volume+json;version=3"}}, "enabled"},
		{".json on an action", ask{method: enable.method, path: enable.path + ".json", body: enable.body}, "enabled"},
		{"a query that is no text, where none is looked at", ask{method: enable.method, path: enable.path + "?x=%FF", body: enable.body}, "enabled"},
		{"an empty host", ask{path: "{P}/os-services?host="}, "a@b"},
		{"a host without a value", ask{path: "{P}/os-services?host"}, "a@b"},
		{"an empty binary", ask{path: "{P}/os-services?binary="}, `{"services": []}`},
		{"a filter of two words", ask{path: "{P}/os-services?host=a+b"}, `{"services": []}`},
		{"a filter with a broken escape", ask{path: "{P}/os-services?host=%zz&host=a%"}, `{"services": []}`},
		{"a filter after a semicolon", ask{path: "{P}/os-services?x;host=nope"}, `{"services": []}`},
		{"the last of two", ask{path: "{P}/os-services?host=nope&host=a@b"}, "a@b"},
		{"a content type and nothing of it", ask{path: "{P}/os-services", header: []string{"Content-Type: text/plain"}}, "a@b"},
		{"an empty name of a cluster", ask{path: "{P}/clusters?name=&is_up=T&disabled=off&num_hosts=%2003", version: "3.7"}, `{"clusters": []}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := r.do(t, tt.ask); got.status != 200 || !strings.Contains(string(got.body), tt.has) {
				t.Errorf("got %d %s, want 200 with %s", got.status, got.body, tt.has)
			}
		})
	}
}

// Whatever is sent, the answer is no 5xx and no redirect, and one that a client
// can read.
func FuzzRequests(f *testing.F) {
	const host = `{"host": "a@b", "binary": "cinder-volume"}`
	for _, seed := range []struct{ method, path, version, contentType, body string }{
		{"GET", "/v3/os-services?host=a&binary=b", "volume 3.49", "", ""},
		{"PUT", "/v3/" + project + "/os-services/disable-log-reason", "volume 3.0", "application/json", `{"host": "a@b", "binary": "cinder-volume", "disabled_reason": "é"}`},
		{"PUT", "/v3/os-services/enable", "", "application/json", host},
		{"PUT", "/v3/os-services/freeze", "volume 3.26", "application/json", `{"cluster": "x"}`},
		{"PUT", "/v3/os-services/failover", "volume 3.26", "application/json", `{"host": "x", "backend_id": "default"}`},
		{"PUT", "/v3/os-services/set-log", "volume latest", "application/json", `{"level": "debug", "prefix": "a", "server": "b"}`},
		{"PUT", "/v3/os-services/get-log", "volume 3.32", "application/json", `{}`},
		{"GET", "/v3/clusters/detail?is_up=1&num_hosts=2", "volume 3.26", "", ""},
		{"PUT", "/v3/clusters/disable", "volume 3.7", "application/json", `{"name": "a", "disabled_reason": " x "}`},
		{"GET", "/v3/clusters/%FF", "volume 3.7", "text/plain", "x"},
		{"POST", "//v3/../%2e%2e/x", "volume x", "a/b;c", "{"},
		{"OPTIONS", "/v3", "compute 2.1", "", "\x00"},
	} {
		f.Add(seed.method, seed.path, seed.version, seed.contentType, []byte(seed.body))
	}
	r := newRig(f, parts{})
	f.Fuzz(func(t *testing.T, method, path, version, contentType string, body []byte) {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://api", bytes.NewReader(body))
		if err != nil {
			return
		}
		target, err := req.URL.Parse(path)
		if err != nil {
			return
		}
		req.URL, req.RequestURI = target, path
		req.Header.Set("X-Auth-Token", "admin:"+project)
		req.Header["Openstack-Api-Version"] = strings.Split(version, "\n")
		req.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		r.handler.ServeHTTP(w, req)
		if w.Code >= 500 || w.Code >= 301 && w.Code < 400 && w.Header().Get("Location") != "http://"+req.Host+"/v3/" {
			t.Errorf("%s %q %q %q: got %d %v %s", method, path, version, body, w.Code, w.Header(), w.Body)
		}
		if w.Code >= 400 {
			reply{status: w.Code, body: w.Body.Bytes()}.fault(t)
		}
	})
}
