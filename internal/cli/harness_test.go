package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cli"
	"stoker/test/peers"
)

var update = flag.Bool("update", false, "write the golden files")

// TestMain runs the command line in place of the tests when a test starts this
// program again, to see what a whole process does.
func TestMain(m *testing.M) {
	if os.Getenv("STOKER_TEST_MAIN") != "" {
		os.Exit(asProcess())
	}
	os.Exit(engines.Run(m))
}

// engines are those that the tests of this package share.
var engines peers.Shared

// golden compares got with a file of testdata, or writes it there with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it):\n%s", file, diff)
	}
}

// result is what a run of the command line left behind.
type result struct {
	status         int
	stdout, stderr string
}

// String is the run as a golden file has it.
func (r result) String() string {
	s := r.stdout
	if r.stderr != "" {
		s += "--- standard error\n" + r.stderr
	}
	if r.status != 0 {
		s += fmt.Sprintf("--- exit status %d\n", r.status)
	}
	return s
}

// run runs a command line against an API, with servers that d has.
func run(t *testing.T, api http.RoundTripper, d cli.Deps, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status := cli.Run(t.Context(), cli.Process{
		Args: args, Env: []string{"HOME=/home/op"}, Stdout: &stdout, Stderr: &stderr, Version: "v1.2.3 (go1.26)", Transport: api,
	}, d)
	return result{status, stdout.String(), stderr.String()}
}

// fake is an API with one answer to each request: "GET /v3/os-services" to the
// body of a 200, or "STATUS body".
type fake struct {
	t       *testing.T
	answers map[string]string
	asked   []string // requests in the order they came: method, path, query, body
}

// RoundTrip implements http.RoundTripper: no network is between.
func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	f.serve(w, r)
	return w.Result(), nil
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/" {
		_, _ = io.WriteString(w, `{"versions": [{"id": "v3.0", "version": "3.71"}]}`)
		return
	}
	what := r.Method + " " + r.URL.RequestURI()
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	f.asked = append(f.asked, strings.TrimSpace(what+" "+string(body)))
	answer, ok := f.answers[what]
	if !ok {
		f.t.Errorf("nobody expected %s", what)
	}
	w.Header().Set("X-Stoker-Operation", "7c9e6679-7425-40de-944b-e07fc1f90ae7")
	var status int
	if n, _ := fmt.Sscanf(answer, "%d", &status); n == 1 {
		w.WriteHeader(status)
		answer = strings.TrimPrefix(answer, fmt.Sprint(status))
	}
	_, _ = io.WriteString(w, answer)
}

// fault is an answer in OpenStack's form.
func fault(status int, key, msg string) string {
	b, _ := json.Marshal(map[string]any{key: map[string]any{"code": status, "message": msg}})
	return fmt.Sprintf("%d%s", status, b)
}

// refuse is a network without anybody on it.
type refuse struct{ err error }

func (r refuse) RoundTrip(*http.Request) (*http.Response, error) { return nil, r.err }

// block is a server that runs until its context ends.
func block(ctx context.Context, out io.Writer) error {
	fmt.Fprintln(out, "runs")
	<-ctx.Done()
	fmt.Fprintln(out, "stops")
	return nil
}
