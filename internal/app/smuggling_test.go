package app_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"stoker/internal/client"
)

// speak sends bytes and reads all answers that come, until the server hangs up or
// is silent for a while; the first, where there is to be one, is waited for. It does
// not hang up itself: a request of somebody who is gone might not be carried out.
func (s *site) speak(t *testing.T, text string, answered bool) []int {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	const silence = 2 * time.Second
	wait := silence
	if answered {
		wait = patience
	}
	if err := c.SetDeadline(time.Now().Add(wait)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		t.Logf("the server did not listen to the end: %v", err)
	}
	var statuses []int
	for r := bufio.NewReader(c); ; {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
			return statuses
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		statuses = append(statuses, res.StatusCode)
		if err := c.SetReadDeadline(time.Now().Add(silence)); err != nil {
			t.Fatal(err)
		}
	}
}

// What a proxy in front could read in another way than we do is answered once, if
// at all, and nothing that hides in it is carried out.
func TestSmuggledRequests(t *testing.T) {
	s := start(t, standalone(t, t.TempDir()))
	const body = `{"host": "stoker@alpha", "binary": "cinder-volume"}`
	hidden := fmt.Sprintf("PUT /v3/os-services/disable HTTP/1.1\r\nHost: localhost\r\nX-Auth-Token: admin\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	post := func(headers, body string) string {
		return "PUT /v3/os-services/get-log HTTP/1.1\r\nHost: localhost\r\nX-Auth-Token: admin\r\nOpenStack-API-Version: volume 3.32\r\nContent-Type: application/json\r\n" + headers + "\r\n" + body
	}
	const chunked = "Transfer-Encoding: chunked\r\n"
	length := fmt.Sprintf("Content-Length: %d\r\n", len("0\r\n\r\n"+hidden))
	tests := []struct {
		name, text string
		want       int // status of the one answer; 0 is any refusal, or none
	}{
		{"a length and chunks", post(length+chunked, "2\r\n{}\r\n0\r\n\r\n"+hidden), 200},
		{"chunks and a length", post(chunked+length, "2\r\n{}\r\n0\r\n\r\n"+hidden), 200},
		{"chunks and a short length", post(chunked+"Content-Length: 3\r\n", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden)), 0},
		{"two lengths", post("Content-Length: 2\r\nContent-Length: 500\r\n", "{}"+hidden), 0},
		{"two lengths in one", post("Content-Length: 2, 500\r\n", "{}"+hidden), 0},
		{"a length with a sign", post("Content-Length: +2\r\n", "{}"+hidden), 0},
		{"a negative length", post("Content-Length: -1\r\n", "{}"+hidden), 0},
		{"a length in hex", post("Content-Length: 0x2\r\n", "{}"+hidden), 0},
		{"a length too large to be one", post("Content-Length: 99999999999999999999\r\n", "{}"+hidden), 0},
		{"another encoding", post("Transfer-Encoding: gzip\r\n", "{}"+hidden), 0},
		{"chunked and another", post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"+hidden), 0},
		{"two encodings", post(chunked+"Transfer-Encoding: identity\r\n", "0\r\n\r\n"+hidden), 0},
		{"chunked behind a tab", post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"+hidden), 0},
		{"chunked with a space before the colon", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"+hidden), 0},
		{"chunked on a folded line", post("Transfer-Encoding:\r\n chunked\r\n"+length, "0\r\n\r\n"+hidden), 0},
		{"a negative chunk", post(chunked, "-1\r\n"+hidden), 0},
		{"a chunk in another base", post(chunked, "0x2\r\n{}\r\n0\r\n\r\n"+hidden), 0},
		{"a chunk too large to be one", post(chunked, "ffffffffffffffff1\r\n"+hidden), 0},
		{"a chunk without an end", post(chunked, "2\r\n{}0\r\n\r\n"+hidden), 0},
		{"a chunk of nothing", post(chunked, "\r\n"+hidden), 0},
		{"a header in the trailer", post(chunked, "2\r\n{}\r\n0\r\nContent-Length: 9\r\n\r\n"+hidden), 200},
		{"a body where none belongs", fmt.Sprintf("GET /v3/os-services HTTP/1.1\r\nHost: localhost\r\nX-Auth-Token: admin\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(hidden), hidden), 400},
		{"a NUL in a header", post("X: a\x00b\r\nContent-Length: 2\r\n", "{}"+hidden), 0},
		{"a CR in a header", post("X: a\rContent-Length: 2\r\n", "{}"+hidden), 0},
		{"a header without a colon", post("nonsense\r\nContent-Length: 2\r\n", "{}"+hidden), 0},
		{"two hosts", "GET /v3/os-services HTTP/1.1\r\nHost: a\r\nHost: b\r\nX-Auth-Token: admin\r\n\r\n" + hidden, 0},
		{"no host", "GET /v3/os-services HTTP/1.1\r\nX-Auth-Token: admin\r\n\r\n" + hidden, 0},
		{"no version", "GET /v3/os-services\r\n" + hidden, 0},
		{"a version that is none", "GET /v3/os-services HTTP/1.11\r\nHost: localhost\r\n\r\n" + hidden, 0},
		{"HTTP/1.0 in chunks", "PUT /v3/os-services/get-log HTTP/1.0\r\nX-Auth-Token: admin\r\n" + chunked + "\r\n0\r\n\r\n" + hidden, 0},
		{"a preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + hidden, 0},
		{"a header as long as a book", post("X: "+strings.Repeat("x", 64<<10)+"\r\nContent-Length: 2\r\n", "{}"+hidden), 431},
		{"more headers than fit", post(strings.Repeat("X: xxxxxxxxxxxxxxxxxxxx\r\n", 4096)+"Content-Length: 2\r\n", "{}"+hidden), 431},
		{"an address as long as a book", "GET /v3/" + strings.Repeat("a", 64<<10) + " HTTP/1.1\r\nHost: localhost\r\n\r\n" + hidden, 431},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := s.speak(t, tt.text, tt.want != 0)
			refused := len(got) == 0 || len(got) == 1 && got[0] >= 400
			if tt.want == 0 && !refused || tt.want != 0 && (len(got) != 1 || got[0] != tt.want) {
				t.Errorf("answers %v, want %d", got, tt.want)
			}
			services, err := s.Services(t.Context(), client.ServiceFilter{Host: "stoker@alpha"})
			if err != nil || len(services) != 1 || services[0].Status != "enabled" {
				t.Fatalf("what was hidden was carried out: %+v, %v", services, err)
			}
		})
	}
	// The hidden request is one that works, when it does not hide.
	if got := s.speak(t, hidden, true); len(got) != 1 || got[0] != http.StatusOK {
		t.Errorf("by itself it is answered %v", got)
	}
}
