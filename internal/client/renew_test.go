package client_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
	"stoker/internal/client"
)

const (
	aReady   = "retry: 2000\nid: 1-aa\nevent: ready\ndata: {}\n\n"
	aService = "event: service\ndata: {\"host\": \"h\"}\n\n"
	refusal  = `{"error": {"code": 401, "title": "Unauthorized", "message": "No such token."}}`
)

func theEnd(code int, why string) string {
	return fmt.Sprintf("event: end\ndata: {\"code\": %d, \"message\": %q}\n\n", code, why)
}

// gate is an API that accepts one token, and gives the configured answers in order.
type gate struct {
	takes   string
	answers []string
	asked   []string // method, token and body of each request
}

func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Request: r}
	body := `{"versions": [{"id": "v3.0", "version": "3.71"}]}`
	if r.URL.Path != "/" {
		var sent []byte
		if r.Body != nil {
			sent, _ = io.ReadAll(r.Body)
		}
		g.asked = append(g.asked, strings.TrimSpace(r.Method+" "+r.Header.Get("X-Auth-Token")+" "+string(sent)))
		switch {
		case r.Header.Get("X-Auth-Token") != g.takes:
			resp.StatusCode, body = http.StatusUnauthorized, refusal
		case len(g.answers) == 0:
			resp.StatusCode, body = http.StatusNotFound, `{"itemNotFound": {"code": 404, "message": "That is all."}}`
		default:
			body, g.answers = g.answers[0], g.answers[1:]
		}
	}
	resp.Body = io.NopCloser(strings.NewReader(body))
	return resp, nil
}

// TestAStreamThatTheServerEnds checks that a stream ended by the server is reopened
// where a new one would be accepted.
func TestAStreamThatTheServerEnds(t *testing.T) {
	const first, second = "GET first", "GET second"
	tests := []struct {
		name     string
		streams  []string
		renewals []string // the tokens that Renew returns
		kind     cinder.Kind
		want     string
		asked    []string
		heard    int
		ended    []string
	}{
		{
			name: "its token is refused, and there is no other", streams: []string{aReady + aService + theEnd(401, "No.")},
			kind: cinder.KindUnauthenticated, want: "No.", asked: []string{first}, heard: 1,
		},
		{
			name: "its token is refused, and there is another", streams: []string{aReady + aService + theEnd(401, "No."), aReady + aService},
			renewals: []string{"second"}, kind: cinder.KindNotFound, want: "That is all.", asked: []string{first, first, second, second}, heard: 2, ended: []string{"No."},
		},
		{
			name: "the other one is refused too", streams: []string{aReady + theEnd(401, "No.")},
			renewals: []string{"third"}, kind: cinder.KindUnauthenticated, want: "No such token.", asked: []string{first, first, "GET third"}, ended: []string{"No."},
		},
		{
			name: "the policy has changed", streams: []string{aReady + theEnd(403, "Not you.")},
			renewals: []string{"second"}, kind: cinder.KindForbidden, want: "Not you.", asked: []string{first},
		},
		{
			name: "the server stops", streams: []string{aReady + theEnd(503, "Stopping."), aReady + aService},
			kind: cinder.KindNotFound, want: "That is all.", asked: []string{first, first, first}, heard: 1, ended: []string{"Stopping."},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := &gate{takes: "first", answers: tt.streams}
				o := client.Options{Endpoint: "http://h/v3", Token: "first", Transport: g}
				if tt.renewals != nil {
					o.Renew = func(context.Context) (string, error) {
						next := tt.renewals[0]
						tt.renewals = tt.renewals[1:]
						return next, nil
					}
				}
				c, err := client.New(o)
				if err != nil {
					t.Fatal(err)
				}
				heard := 0
				var ended []string
				err = c.Events(t.Context(), func(client.Event) error {
					heard++
					if heard == 1 && tt.renewals != nil {
						g.takes = "second"
					}
					return nil
				}, func(why error) {
					ended = append(ended, cinder.Message(why))
					if tt.renewals != nil {
						g.takes = "second"
					}
				})
				checkError(t, err, tt.kind, tt.want)
				if heard != tt.heard {
					t.Errorf("heard %d events, want %d", heard, tt.heard)
				}
				if d := cmp.Diff(tt.asked, g.asked); d != "" {
					t.Errorf("asked (-want +got):\n%s", d)
				}
				if d := cmp.Diff(tt.ended, ended); d != "" {
					t.Errorf("told of the end (-want +got):\n%s", d)
				}
			})
		})
	}
}

// TestATokenIsRenewed checks that a request whose token has expired is sent again with
// another token and the same body.
func TestATokenIsRenewed(t *testing.T) {
	g := &gate{takes: "second", answers: []string{""}}
	var failed error
	c, err := client.New(client.Options{Endpoint: "http://h/v3", Token: "first", Transport: g, Renew: func(context.Context) (string, error) { return "second", failed }})
	if err != nil {
		t.Fatal(err)
	}
	failed = cinder.Errorf(cinder.KindUnauthenticated, "Keystone refuses the credential")
	_, err = c.Freeze(t.Context(), client.Target{Host: "h@b"})
	checkError(t, err, cinder.KindUnauthenticated, "Keystone refuses the credential")
	failed = nil
	if _, err := c.Freeze(t.Context(), client.Target{Host: "h@b"}); err != nil {
		t.Error(err)
	}
	want := []string{`PUT first {"host":"h@b"}`, `PUT first {"host":"h@b"}`, `PUT second {"host":"h@b"}`}
	if d := cmp.Diff(want, g.asked); d != "" {
		t.Errorf("asked (-want +got):\n%s", d)
	}
}
