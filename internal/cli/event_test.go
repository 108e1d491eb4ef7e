package cli_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"stoker/internal/cli"
)

// streams is an API that sends each of some streams once, and then ends the watch.
type streams struct {
	end     context.CancelFunc
	streams []string
	asked   []string // the ids to go on from
}

func (s *streams) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Request: r}
	if r.URL.Path == "/" {
		answer.Body = io.NopCloser(strings.NewReader(`{"versions": [{"id": "v3.0", "version": "3.71"}]}`))
		return answer, nil
	}
	s.asked = append(s.asked, r.Header.Get("Last-Event-ID"))
	if len(s.streams) == 0 {
		s.end()
		return nil, context.Canceled
	}
	answer.Body = io.NopCloser(strings.NewReader(s.streams[0]))
	s.streams = s.streams[1:]
	return answer, nil
}

// What changes is printed, and a stream that breaks goes on where it was.
func TestEventWatch(t *testing.T) {
	service := `{"at": "2026-11-23T11:56:57.000000", "binary": "cinder-volume", "host": "stor1@alpha", "zone": "nova", "cluster": null, "state": "up", "status": "disabled",
 "disabled_reason": "disk\u001b swap", "frozen": true, "replication_status": "failed-over", "active_backend_id": "site-b", "removed": false, "changed": ["status", "frozen"]}`
	text := []string{
		"retry: 2000\nid: 1-aa\nevent: ready\ndata: {}\n\n: \n\nevent: service\ndata: " + strings.ReplaceAll(service, "\n", "") + "\n\nevent: end\ndata: {\"code\": 503, \"message\": \"The service is stopping.\"}\n\n",
		"id: 2-bb\nevent: operation\ndata: " + strings.ReplaceAll(oneOperation, "\n", "") + "\n\n",
	}
	for _, form := range []string{"table", "json"} {
		t.Run(form, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				api := &streams{end: cancel, streams: append([]string{}, text...)}
				var out, errs bytes.Buffer
				status := cli.Run(ctx, cli.Process{Args: words("event watch -o " + form), Stdout: &out, Stderr: &errs, Transport: api}, cli.Deps{})
				if want := []string{"", "1-aa", "2-bb"}; strings.Join(api.asked, " ") != strings.Join(want, " ") {
					t.Errorf("went on from %q, want %q", api.asked, want)
				}
				golden(t, "event-watch-"+form, result{status, out.String(), errs.String()}.String())
			})
		})
	}
}
