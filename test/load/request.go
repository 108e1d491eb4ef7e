package load

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"
)

// project is whose paths are asked for.
const project = "0123456789abcdef0123456789abcdef"

// Deadline is by when every request has an answer, whatever is away: the
// response timeout that peers.CinderOptions gives (5 s), the 15 s that a change
// has for its end, and what a machine under load adds.
const Deadline = 40 * time.Second

// Request is a change of services or clusters or, without a body, a list of them.
type Request struct {
	Path     string // below os-services: "", "?binary=cinder-volume", "/freeze"
	Body     map[string]any
	Clusters bool   // the path is below clusters
	ID       string // X-Openstack-Request-Id, by which the journal knows it; the API's own when empty
	Key      string // Idempotency-Key; none when empty
}

// Answer is what came of a request.
type Answer struct {
	Status    int // 0: none
	Body      string
	Operation string // X-Stoker-Operation
	Replayed  bool   // it was given before, to a request with the same key
	Began     time.Time
	Took      time.Duration
}

// Ask sends a request to the API at a URL without a version, as an
// administrator under noauth, and waits for the answer for a limited time.
func Ask(ctx context.Context, url string, r Request, limit time.Duration) (a Answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	a.Began = time.Now()
	defer func() { a.Took = time.Since(a.Began) }()
	method, text := http.MethodGet, ""
	if r.Body != nil {
		b, err := json.Marshal(r.Body)
		if err != nil {
			return a, err
		}
		method, text = http.MethodPut, string(b)
	}
	resource := "/os-services"
	if r.Clusters {
		resource = "/clusters"
	}
	req, err := http.NewRequestWithContext(ctx, method, url+"/v3/"+project+resource+r.Path, strings.NewReader(text))
	if err != nil {
		return a, err
	}
	req.Header.Set("X-Auth-Token", "admin:"+project)
	req.Header.Set("OpenStack-API-Version", "volume 3.70")
	req.Header.Set("Content-Type", "application/json")
	if r.ID != "" {
		req.Header.Set("X-Openstack-Request-Id", r.ID)
	}
	if r.Key != "" {
		req.Header.Set("Idempotency-Key", r.Key)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return a, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return a, err
	}
	a.Status, a.Body, a.Operation = res.StatusCode, string(body), res.Header.Get("X-Stoker-Operation")
	a.Replayed = res.Header.Get("Idempotency-Replayed") == "true"
	return a, nil
}

// Loggers of services, for Administrators.
const (
	Go     = "stoker.agent"
	Python = "cinder.manager"
)

// Administrators are clients who between them ask for everything, of the
// services of one host with the backends alpha, beta and gamma (as
// peers.CinderOptions.Backends says), whose levels of one logger are read and
// set. Nobody changes what another does: which answers are right is then known.
func Administrators(host, logger string) [][]Request {
	on := func(backend string, more ...string) map[string]any {
		b := map[string]any{"host": host + "@" + backend}
		for i := 0; i < len(more); i += 2 {
			b[more[i]] = more[i+1]
		}
		return b
	}
	levels := func(binary, server string, more ...string) map[string]any {
		b := map[string]any{"binary": binary, "server": server, "prefix": logger}
		for i := 0; i < len(more); i += 2 {
			b[more[i]] = more[i+1]
		}
		return b
	}
	return [][]Request{
		{{Path: ""}, {Path: "?binary=cinder-volume"}},
		{{Path: "/freeze", Body: on("beta")}, {Path: "/thaw", Body: on("beta")}},
		{{Path: "/disable-log-reason", Body: on("gamma", "binary", "cinder-volume", "disabled_reason", "disk swap")}, {Path: "/enable", Body: on("gamma", "binary", "cinder-volume")}},
		{{Path: "/failover_host", Body: on("alpha", "backend_id", "site-b")}, {Path: "/failover_host", Body: on("alpha", "backend_id", "default")}},
		{{Path: "/get-log", Body: levels("", host)}, {Path: "/set-log", Body: levels("cinder-backup", host, "level", "INFO")}},
		{{Path: "?host=" + host + "@alpha"}},
	}
}
