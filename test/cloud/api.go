package cloud

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"
)

// Project is whose paths are asked for.
const Project = "0123456789abcdef0123456789abcdef"

// Newest is the newest microversion that both APIs have.
const Newest = "3.70"

// API is an API of a cloud, Stoker's or Cinder's, and who asks it.
type API struct {
	Name    string
	URL     string // without a version
	Token   string // of an administrator under noauth when empty
	Project string // whose paths are asked for; Project when empty
}

// Answer is what an API said.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Ask sends a request for a path below the project's. It may be called from any
// goroutine.
func (a API) Ask(ctx context.Context, method, path, version string, body any) (Answer, error) {
	return a.ask(ctx, method, "/v3/"+cmp.Or(a.Project, Project)+"/"+path, version, body)
}

func (a API) ask(ctx context.Context, method, path, version string, body any) (Answer, error) {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return Answer{}, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, a.URL+path, bytes.NewReader(text))
	if err != nil {
		return Answer{}, err
	}
	req.Header.Set("X-Auth-Token", cmp.Or(a.Token, "admin:"+Project))
	req.Header.Set("OpenStack-API-Version", "volume "+version)
	req.Header.Set("Content-Type", "application/json")
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err = io.ReadAll(res.Body)
	return Answer{res.StatusCode, res.Header, string(text)}, err
}

// Get reads something that has to be there.
func (a API) Get(tb testing.TB, path, version string) string {
	tb.Helper()
	got, err := a.Ask(tb.Context(), http.MethodGet, path, version, nil)
	if err != nil {
		tb.Fatal(err)
	}
	if got.Status != http.StatusOK {
		tb.Fatalf("%s: GET %s at %s: %d %s", a.Name, path, version, got.Status, got.Body)
	}
	return got.Body
}

// Put does an action, and returns whatever the answer is.
func (a API) Put(tb testing.TB, path, version string, body any) Answer {
	tb.Helper()
	got, err := a.Ask(tb.Context(), http.MethodPut, path, version, body)
	if err != nil {
		tb.Fatalf("%s: PUT %s: %v", a.Name, path, err)
	}
	return got
}

// Must does an action that has to succeed.
func (a API) Must(tb testing.TB, path string, body any) {
	tb.Helper()
	if got := a.Put(tb, path, Newest, body); got.Status >= http.StatusMultipleChoices {
		tb.Fatalf("%s: PUT %s %v: %d %s", a.Name, path, body, got.Status, got.Body)
	}
}
