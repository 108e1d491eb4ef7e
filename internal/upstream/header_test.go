package upstream_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is sent on is what came, but for what concerns one connection alone, what
// only a proxy may say, and what Pass is told to say.
func TestHeadersOfRequests(t *testing.T) {
	var got *http.Request
	back := serve(t, func(_ http.ResponseWriter, r *http.Request) { got = r })
	u, _ := newUpstream(t, nil, back.URL)
	s := front(t, u, nil)
	raw(t, s.URL, "GET", strings.ReplaceAll(`GET /x HTTP/1.1
Host: cloud.example:8776
x-AUTH-token: secret
X-Many: b
X-Many: a
X-Many:
X-Openstack-Request-Id: req-theirs
Forwarded: for=192.0.2.9;host=evil
X-Forwarded-For: 192.0.2.9
X-Forwarded-Host: evil
X-Forwarded-Port: 1
X-Forwarded-Prefix: /evil
X-Forwarded-Anything: evil
X_Forwarded_For: 192.0.2.9
Transfer_Encoding: chunked
Content_Length: 3
X_Auth_Token: evil
Connection: keep-alive, X-Mine, X-Openstack-Request-Id, Upgrade
X-Mine: mine
Keep-Alive: 5
Proxy-Authorization: Basic eA==
Upgrade: websocket
Via: 1.0 elsewhere
TE: trailers, deflate

`, "\n", "\r\n"))
	want := http.Header{
		"X-Auth-Token": {"secret"}, "X-Many": {"b", "a", ""}, "X-Openstack-Request-Id": {"req-ours"},
		"Via": {"1.0 elsewhere", "1.1 stoker"}, "Te": {"trailers"},
	}
	if diff := cmp.Diff(want, got.Header); diff != "" || got.Host != "cloud.example:8776" {
		t.Errorf("Host %s, headers (-want +got):\n%s", got.Host, diff)
	}
}

// The target of a request is forwarded as it came, to the letter.
func TestTargetsAsTheyCame(t *testing.T) {
	var got string
	back := serve(t, func(_ http.ResponseWriter, r *http.Request) { got = r.RequestURI })
	u, _ := newUpstream(t, nil, back.URL)
	s := front(t, u, nil)
	for _, target := range []string{
		"/", "/v3/a", "/v3//a", "//v3/a", "/v3/a/", "/v3/%61", "/v3/%2F%2f", "/v3/a%0A", "/v3/a;b=c", "/v3/../a", "/v3/a#b", `/v3/"a"<b>`, `/v3/a\b^|`,
		"/v3/\u00e9", "/v3/a?", "/v3/a?b;c&d=%zz&&e", "/v3/a?b=c?d", "/v3/a?limit=1&marker=%20+", "/v3/[a]:@!$&'()*+,=",
	} {
		got = ""
		raw(t, s.URL, "GET", "GET "+target+" HTTP/1.1\r\nHost: a\r\n\r\n")
		if got != target {
			t.Errorf("%s came as %s", target, got)
		}
	}
	raw(t, s.URL, "GET", "GET http://other.example/v3/a%2Fb?c HTTP/1.1\r\nHost: a\r\n\r\n")
	if got != "/v3/a%2Fb?c" {
		t.Errorf("an absolute target came as %s", got)
	}
}

// Nothing is added to an answer that has little, and trailers come through.
func TestHeadersOfAnswers(t *testing.T) {
	back := serve(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Date"] = nil
		h["Content-Type"] = nil
		h["X-Many"] = []string{"b", "a"}
		h["Connection"] = []string{"X-Hop"}
		h["X-Hop"] = []string{"x"}
		if r.Method == http.MethodHead {
			h["Content-Length"] = []string{"1234"}
			return
		}
		h["Trailer"] = []string{"X-Sum"}
		_, err := io.WriteString(w, "<html>")
		check(t, err, http.NewResponseController(w).Flush())
		h["X-Sum"] = []string{"7"}
	})
	u, _ := newUpstream(t, nil, back.URL)
	s := front(t, u, nil)
	resp, body := raw(t, s.URL, "GET", "GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
	if body != "<html>" || resp.Trailer.Get("X-Sum") != "7" || !slices.Equal(resp.Header["X-Many"], []string{"b", "a"}) || resp.Header.Get("X-Hop") != "" {
		t.Errorf("got %s %v, trailers %v", body, resp.Header, resp.Trailer)
	}
	resp, _ = raw(t, s.URL, "HEAD", "HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n")
	if resp.Header.Get("Content-Length") != "1234" {
		t.Errorf("to HEAD: %v", resp.Header)
	}
}

// strict repeats a request, as it came, and answers as it is told to.
func strict(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var names []string
	for name := range r.Header {
		// What is named here is what passing on may change.
		if !strings.HasPrefix(name, "X-Forwarded") && name != "Via" && name != "X-Openstack-Request-Id" && name != "Connection" && name != "Content-Length" {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	status, _ := strconv.Atoi(r.Header.Get("Want-Status"))
	for i, v := range r.Header["Want-Header"] {
		w.Header().Add(fmt.Sprintf("X-Answer-%d", i%3), v)
	}
	w.Header()["Date"] = nil
	if r.Header.Get("Want-Length") != "" {
		w.Header().Set("Content-Length", r.Header.Get("Want-Length"))
		w.WriteHeader(status)
		_, _ = io.CopyN(w, endless{}, int64(len(r.Header.Get("Want-Length"))))
		return
	}
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "%s %s %s %d %v %v\n%d bytes, %x\n", r.Method, r.RequestURI, r.Host, r.ContentLength, r.TransferEncoding, err, len(body), sha256.Sum256(body))
	for _, name := range names {
		_, _ = fmt.Fprintf(w, "%s: %q\n", name, r.Header[name])
	}
}

// randomRequest is a request that somebody may send, in full.
func randomRequest(r *rand.Rand) (method, text string) {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	word := func(alphabet string, most int) string {
		b := make([]byte, r.IntN(most+1))
		for i := range b {
			b[i] = alphabet[r.IntN(len(alphabet))]
		}
		return string(b)
	}
	method = pick("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW", "get")
	target := "/v3" + pick("/", "//", "/%2F", "/;") + word("abcXYZ0189-._~!$&'()*+,;=:@\"<>\\^`{|}[]\xc3\xa9/", 30) +
		pick("", "%20", "%2f", "%0a", "%C3%A9", "/..", ".json") + pick("", "?", "?"+word("abc=&;%+?/\"<>'\xc3", 30))
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.%s\r\nHost: cloud.example\r\n", method, target, pick("1", "1", "1", "0"))
	for range r.IntN(6) {
		fmt.Fprintf(&b, "%s: %s\r\n", pick("X-Auth-Token", "x-auth-TOKEN", "OpenStack-API-Version", "Accept", "Cookie", "X-A", "Range", "Want-Header", "Accept-Encoding",
			"If-Match", "Content-Type", "Origin"), word("abc XYZ,;=\"\t()<>@/?{}\xc3\xa9", 40))
	}
	if r.IntN(2) == 0 { // of several, net/http sends the first, and none that is empty
		fmt.Fprintf(&b, "User-Agent: a%s\r\n", word("abc/1.0 (x)", 20))
	}
	fmt.Fprintf(&b, "Want-Status: %s\r\n", pick("200", "200", "201", "202", "204", "300", "302", "304", "400", "401", "404", "413", "429", "500", "503", "599", "299", "999"))
	body := word("\x00\n\r{}\"abc\xff", 2000)
	switch r.IntN(4) {
	case 0:
		b.WriteString("\r\n")
	case 1:
		b.WriteString("Content-Length: 0\r\n\r\n")
	case 2:
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	case 3:
		if strings.Contains(b.String(), "HTTP/1.0") {
			b.WriteString("\r\n")
			break
		}
		b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		for rest := body; rest != ""; {
			n := 1 + r.IntN(len(rest))
			fmt.Fprintf(&b, "%x\r\n%s\r\n", n, rest[:n])
			rest = rest[n:]
		}
		b.WriteString("0\r\n\r\n")
	}
	return method, b.String()
}

// Whatever is sent, the answer is the same by the direct way and through here:
// status, headers and every byte. STOKER_PASSED says how many requests (1000).
func TestDirectAndThrough(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("STOKER_PASSED"))
	if err != nil {
		n = 1000
	}
	back := serve(t, strict)
	u, _ := newUpstream(t, nil, back.URL)
	s := front(t, u, nil)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	statuses := map[int]int{}
	for i := range n {
		method, text := randomRequest(random)
		direct, want := raw(t, back.URL, method, text)
		through, got := raw(t, s.URL, method, text)
		statuses[direct.StatusCode]++
		for _, h := range []http.Header{direct.Header, through.Header} {
			// How a connection goes on, and what net/http adds to an answer without a date.
			h.Del("Connection")
			h.Del("Date")
		}
		if direct.StatusCode != through.StatusCode || want != got || !cmp.Equal(direct.Header, through.Header) ||
			direct.ContentLength != through.ContentLength || !slices.Equal(direct.TransferEncoding, through.TransferEncoding) {
			t.Fatalf("request %d of seed %d:\n%q\ndirect:  %d %v %v %d\n%s\nthrough: %d %v %v %d\n%s", i, seed, text,
				direct.StatusCode, direct.Header, direct.TransferEncoding, direct.ContentLength, want,
				through.StatusCode, through.Header, through.TransferEncoding, through.ContentLength, got)
		}
	}
	if len(statuses) < 15 && n >= 1000 {
		t.Errorf("the requests are all alike: %v", statuses)
	}
}
