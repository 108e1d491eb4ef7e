package texts

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"unicode/utf8"

	gocmp "github.com/google/go-cmp/cmp"
)

// inside are words of drivers, engines and the program's own insides, none of
// which a client may read.
var inside = regexp.MustCompile(`(?i)error \d{4}|sqlstate|illegal mix|collation|mariadb|mysql|postgres|pgx|sqlite|SELECT |INSERT |UPDATE \w+ SET|stoker_\w+|goroutine|\w\.go:\d|runtime error|panic|/tmp/|dial tcp`)

// readable says what is wrong with an answer, whatever it was asked.
func readable(r request, a answer) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if a.status >= http.StatusInternalServerError {
		say("a request that cannot be helped: %d", a.status)
	}
	// The HTTP server answers what it cannot read itself, in plain text.
	if a.header.Get("X-Openstack-Request-Id") == "" {
		if a.status < http.StatusBadRequest {
			say("no request id")
		}
		return wrong
	}
	for name, values := range a.header {
		if text := strings.Join(values, ""); strings.ContainsFunc(text, func(c rune) bool { return c < ' ' && c != '\t' }) {
			say("a control character in %s", name)
		}
	}
	if a.stream || r.method == http.MethodHead || len(a.body) == 0 {
		return wrong
	}
	if !utf8.Valid(a.body) {
		say("no UTF-8")
	}
	if media := a.header.Get("Content-Type"); strings.HasSuffix(media, "json") {
		if !json.Valid(a.body) {
			say("no JSON")
		}
	} else if !strings.HasPrefix(r.route.path, "/healthcheck") && r.route.path != "/stoker/v1/openapi.yaml" && a.status != http.StatusFound {
		say("content type %q", media)
	}
	if a.status < http.StatusBadRequest {
		return wrong
	}
	var faults map[string]struct {
		Code    int
		Message string
	}
	if err := json.Unmarshal(a.body, &faults); err != nil || len(faults) != 1 {
		say("no fault: %v", err)
	}
	for _, f := range faults {
		if f.Code != a.status || f.Message == "" {
			say("code %d, message %q", f.Code, f.Message)
		}
		if found := inside.FindString(f.Message); found != "" {
			say("the message says %q", found)
		}
	}
	return wrong
}

// acknowledged says what of a change that was acknowledged does not show, or what
// shows beside it; "" when all is well.
func acknowledged(r request, before, after map[string]row) string {
	if len(before) != len(after) {
		return fmt.Sprintf("%d rows, there were %d", len(after), len(before))
	}
	for key, now := range after {
		if !gocmp.Equal(before[key], now) && !r.concerns(now) {
			return "another row changed"
		}
		if r.names(now) && !r.showsIn(now) {
			return "the change does not show"
		}
	}
	return ""
}

// action is the last word of the path.
func (r request) action() string { return r.route.path[strings.LastIndex(r.route.path, "/")+1:] }

func (r request) ofCluster() bool { return strings.HasPrefix(r.route.path, "/clusters") }

// concerns says whether the request may change a row: what it names, and what
// belongs to the same cluster. There is one cluster, and a request for a backend of
// a member is one for it.
func (r request) concerns(s row) bool {
	switch r.action() {
	case "get-log", "set-log", "abort":
		return false
	}
	host, cluster := r.field["host"], r.field["cluster"]
	if r.ofCluster() {
		cluster = r.field["name"]
	}
	inCluster := s.Name != "" || s.Cluster != nil
	if inCluster {
		return cluster != "" || strings.HasPrefix(host, "node")
	}
	return host != "" && (s.Host == host || strings.HasPrefix(s.Host, host+"@"))
}

// names says whether the request names the very row.
func (r request) names(s row) bool {
	binary := cmp.Or(r.field["binary"], r.field["service"], "cinder-volume")
	if r.ofCluster() {
		return s.Name != "" && s.Name == r.field["name"] && s.Binary == binary
	}
	return s.Host != "" && s.Host == r.field["host"] && s.Binary == binary
}

// showsIn says whether a row is as the request wants it.
func (r request) showsIn(s row) bool {
	switch r.action() {
	case "enable":
		return s.Status == "enabled"
	case "disable": // the reason of a cluster is trimmed
		return s.Status == "disabled" && (s.Name == "" || s.Reason == nil || strings.Contains(r.field["disabled_reason"], *s.Reason))
	case "disable-log-reason":
		return s.Status == "disabled" && (s.Reason == nil && r.field["disabled_reason"] == "" || s.Reason != nil && *s.Reason == r.field["disabled_reason"])
	case "freeze":
		return s.Frozen
	case "thaw":
		return !s.Frozen
	default:
		return true
	}
}
