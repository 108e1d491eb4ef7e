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

// Request is a change of os-services or, without a body, a list.
type Request struct {
	Path string // below os-services: "", "?binary=cinder-volume", "/freeze"
	Body map[string]any
}

// Answer is what came of a request.
type Answer struct {
	Status    int // 0: none
	Body      string
	Operation string // X-Stoker-Operation
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
	req, err := http.NewRequestWithContext(ctx, method, url+"/v3/"+project+"/os-services"+r.Path, strings.NewReader(text))
	if err != nil {
		return a, err
	}
	req.Header.Set("X-Auth-Token", "admin:"+project)
	req.Header.Set("OpenStack-API-Version", "volume 3.70")
	req.Header.Set("Content-Type", "application/json")
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
		{{"", nil}, {"?binary=cinder-volume", nil}},
		{{"/freeze", on("beta")}, {"/thaw", on("beta")}},
		{{"/disable-log-reason", on("gamma", "binary", "cinder-volume", "disabled_reason", "disk swap")}, {"/enable", on("gamma", "binary", "cinder-volume")}},
		{{"/failover_host", on("alpha", "backend_id", "site-b")}, {"/failover_host", on("alpha", "backend_id", "default")}},
		{{"/get-log", levels("", host)}, {"/set-log", levels("cinder-backup", host, "level", "INFO")}},
		{{"?host=" + host + "@alpha", nil}},
	}
}
