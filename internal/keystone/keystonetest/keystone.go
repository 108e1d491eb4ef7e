package keystonetest

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// recordedText has the answers of a real Keystone 22 for each kind of token, with and
// without allow_expired; the catalog is stored once.
//
//go:embed testdata/answers.json
var recordedText []byte

// URL is the default address of the Keystone in its catalog.
const URL = "http://keystone.test:5000"

// Cinder is the address of the block-storage API in its catalog.
const Cinder = "http://cinder.test:8776"

// The credential that it accepts.
const (
	User   = "cinder"
	Secret = "a service's secret"
)

type reply struct {
	Status int            `json:"status"`
	Body   map[string]any `json:"body"`
}

// subject is a token that can be validated.
type subject struct {
	Answer     reply  `json:"answer"`
	ExpiredToo *reply `json:"expired_too"` // with allow_expired, if different
}

type recorded struct {
	Recorded     time.Time          `json:"recorded"`
	Catalog      []any              `json:"catalog"`
	Unauthorized map[string]any     `json:"unauthorized"`
	Tokens       map[string]subject `json:"tokens"`
}

// Keystone is the server. It is an http.Handler and, for tests without a network, an
// http.RoundTripper. It is safe for concurrent use.
type Keystone struct {
	mu       sync.Mutex // guards the fields below
	url      string
	began    time.Time
	recorded recorded
	offset   time.Duration
	life     time.Duration
	own      map[string]time.Time // expiry of the tokens issued to clients
	revoked  map[string]bool
	hook     func(http.ResponseWriter, *http.Request) bool

	issued      int
	validations map[string]int
}

// New returns a Keystone whose recorded tokens are issued now.
func New(tb testing.TB) *Keystone {
	tb.Helper()
	k := &Keystone{url: URL, began: time.Now(), life: 24 * time.Hour, own: map[string]time.Time{}, revoked: map[string]bool{}, validations: map[string]int{}}
	if err := json.Unmarshal(recordedText, &k.recorded); err != nil {
		tb.Fatal(err)
	}
	return k
}

// Start returns a Keystone that listens on a local port until the test ends.
func Start(tb testing.TB) (k *Keystone, url string) {
	tb.Helper()
	k = New(tb)
	s := httptest.NewServer(k)
	tb.Cleanup(s.Close)
	k.At(s.URL)
	return k, s.URL
}

// At sets its address in the catalog.
func (k *Keystone) At(url string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.url = url
}

// ID is the id of a project or user, from its name.
func ID(kind, name string) string {
	id := fmt.Sprintf("%x%x", kind, name) + strings.Repeat("0", 32)
	return id[:32]
}

// Token is the recorded token with that name: root-admin and so on.
func Token(name string) string { return "gAAAAAB-" + name }

// Revoke revokes the token with that name.
func (k *Keystone) Revoke(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.revoked[Token(name)] = true
}

// RevokeOwn revokes the tokens issued to clients.
func (k *Keystone) RevokeOwn() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.own)
}

// SetClock sets its clock's offset from ours. Recorded tokens keep their times on its
// clock.
func (k *Keystone) SetClock(offset time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.offset = offset
}

// SetLife sets the lifetime of tokens issued to clients.
func (k *Keystone) SetLife(life time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.life = life
}

// Add adds a token with the same description as another.
func (k *Keystone) Add(name, like string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.recorded.Tokens[like]
	if token, ok := s.Answer.Body["token"].(map[string]any); ok { // so that Edit changes one of them
		s.Answer.Body = map[string]any{"token": maps.Clone(token)}
	}
	k.recorded.Tokens[name] = s
}

// Edit changes the description of a token, for instance to remove a role.
func (k *Keystone) Edit(name string, edit func(token map[string]any)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	token, _ := k.recorded.Tokens[name].Answer.Body["token"].(map[string]any)
	edit(token)
}

// Before calls hook for every request first; it returns true when it has answered. nil
// removes the hook.
func (k *Keystone) Before(hook func(http.ResponseWriter, *http.Request) bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.hook = hook
}

// Down makes it answer like a proxy whose Keystone is away, until Before is called
// again.
func (k *Keystone) Down() {
	k.Before(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
}

// Validations counts the validations of the token with that name, or of all for "".
func (k *Keystone) Validations(name string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if name != "" {
		return k.validations[Token(name)]
	}
	sum := 0
	for n := range maps.Values(k.validations) {
		sum += n
	}
	return sum
}

// Authentications counts the tokens issued.
func (k *Keystone) Authentications() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.issued
}

// RoundTrip implements http.RoundTripper.
func (k *Keystone) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	k.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

// ServeHTTP implements http.Handler.
func (k *Keystone) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	hook := k.hook
	k.mu.Unlock()
	if hook != nil && hook(w, r) {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case r.URL.Path != "/v3/auth/tokens":
		http.Error(w, "The requested URL was not found on the server.", http.StatusNotFound)
	case r.Method == http.MethodPost:
		k.issue(w, r)
	case r.Method == http.MethodGet:
		k.describe(w, r)
	default:
		http.Error(w, "The method is not allowed for the requested URL.", http.StatusMethodNotAllowed)
	}
}

// issue authenticates a client.
func (k *Keystone) issue(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Auth struct {
			Identity struct {
				Password struct {
					User struct{ Name, Password string }
				}
				ApplicationCredential struct{ ID, Secret string } `json:"application_credential"`
			}
		}
	}
	i := &body.Auth.Identity
	err := json.NewDecoder(r.Body).Decode(&body)
	known := i.Password.User.Name == User && i.Password.User.Password == Secret || i.ApplicationCredential.ID == User && i.ApplicationCredential.Secret == Secret
	if err != nil || !known {
		k.write(w, http.StatusUnauthorized, k.recorded.Unauthorized)
		return
	}
	k.issued++
	token := fmt.Sprintf("own-%d", k.issued)
	now := k.now()
	k.own[token] = now.Add(k.life)
	answer := k.token(k.recorded.Tokens[User].Answer.Body, true)
	answer["issued_at"], answer["expires_at"] = stamp(now), stamp(now.Add(k.life))
	w.Header().Set("X-Subject-Token", token)
	k.write(w, http.StatusCreated, map[string]any{"token": answer})
}

// describe validates a token.
func (k *Keystone) describe(w http.ResponseWriter, r *http.Request) {
	if !k.now().Before(k.own[r.Header.Get("X-Auth-Token")]) {
		k.write(w, http.StatusUnauthorized, k.recorded.Unauthorized)
		return
	}
	token := r.Header.Get("X-Subject-Token")
	k.validations[token]++
	s, ok := k.recorded.Tokens[strings.TrimPrefix(token, Token(""))]
	if !ok || k.revoked[token] {
		s = k.recorded.Tokens["revoked"]
	}
	query := r.URL.Query()
	answer := s.Answer
	if s.ExpiredToo != nil && query.Has("allow_expired") {
		answer = *s.ExpiredToo
	}
	if r.Header.Get("OpenStack-Identity-Access-Rules") == "" && hasAccessRules(answer.Body) { // only for clients that know access rules
		answer = k.recorded.Tokens["revoked"].Answer
	}
	body := answer.Body
	if body["token"] != nil {
		described := k.token(body, !query.Has("nocatalog"))
		if expires, err := time.Parse(time.RFC3339, described["expires_at"].(string)); err == nil && !k.now().Before(expires) && !query.Has("allow_expired") {
			answer, body = k.recorded.Tokens["expired"].Answer, k.recorded.Tokens["expired"].Answer.Body
		} else {
			body = map[string]any{"token": described}
			w.Header().Set("X-Subject-Token", token)
		}
	}
	k.write(w, answer.Status, body)
}

func hasAccessRules(body map[string]any) bool {
	token, _ := body["token"].(map[string]any)
	credential, _ := token["application_credential"].(map[string]any)
	return credential["access_rules"] != nil
}

// token is a copy of the recorded description with times relative to now.
func (k *Keystone) token(body map[string]any, catalog bool) map[string]any {
	answer := maps.Clone(body["token"].(map[string]any))
	for _, field := range []string{"issued_at", "expires_at"} {
		text, _ := answer[field].(string)
		if t, err := time.Parse(time.RFC3339, text); err == nil {
			answer[field] = stamp(k.began.Add(t.Sub(k.recorded.Recorded)))
		}
	}
	if catalog && answer["roles"] != nil {
		answer["catalog"] = k.recorded.Catalog
	}
	return answer
}

func (k *Keystone) now() time.Time { return time.Now().Add(k.offset) }

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

var placeholder = regexp.MustCompile(`\\u003c(user|project):([^>\\]+)\\u003e`)

func (k *Keystone) write(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil { // cannot happen: it was read from JSON
		panic(err)
	}
	filled := placeholder.ReplaceAllStringFunc(string(text), func(m string) string {
		parts := placeholder.FindStringSubmatch(m)
		return ID(parts[1], parts[2])
	})
	filled = strings.NewReplacer(`\u003ckeystone\u003e`, k.url, `\u003ccinder\u003e`, Cinder).Replace(filled)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Vary", "X-Auth-Token")
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf("Keystone uri=%q", k.url+"/v3"))
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(filled))
}
