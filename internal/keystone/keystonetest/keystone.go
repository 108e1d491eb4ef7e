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

// recordedText has the answers of a real Keystone 22, for each kind of token
// with and without allow_expired; the catalog stands in it once.
//
//go:embed testdata/answers.json
var recordedText []byte

// URL is where the Keystone says it is.
const URL = "http://keystone.test:5000"

// Cinder is where its catalog says that the block-storage API is.
const Cinder = "http://cinder.test:8776"

// The credential that it takes for its clients' own.
const (
	User   = "cinder"
	Secret = "a service's secret"
)

type reply struct {
	Status int            `json:"status"`
	Body   map[string]any `json:"body"`
}

// subject is a token that somebody may ask about.
type subject struct {
	Answer     reply  `json:"answer"`
	ExpiredToo *reply `json:"expired_too"` // the answer under allow_expired, where it is another
}

type recorded struct {
	Recorded     time.Time          `json:"recorded"`
	Catalog      []any              `json:"catalog"`
	Unauthorized map[string]any     `json:"unauthorized"`
	Tokens       map[string]subject `json:"tokens"`
}

// Keystone is the server. It is an http.Handler and, for tests without a
// network, an http.RoundTripper. It is safe for concurrent use.
type Keystone struct {
	mu       sync.Mutex // guards what follows
	url      string
	began    time.Time
	recorded recorded
	offset   time.Duration
	life     time.Duration
	own      map[string]time.Time // tokens of clients, and until when they are good
	revoked  map[string]bool
	hook     func(http.ResponseWriter, *http.Request) bool

	issued      int
	validations map[string]int
}

// New makes a Keystone whose recorded tokens were issued at this moment.
func New(tb testing.TB) *Keystone {
	tb.Helper()
	k := &Keystone{url: URL, began: time.Now(), life: 24 * time.Hour, own: map[string]time.Time{}, revoked: map[string]bool{}, validations: map[string]int{}}
	if err := json.Unmarshal(recordedText, &k.recorded); err != nil {
		tb.Fatal(err)
	}
	return k
}

// Start makes a Keystone that listens on a port of this machine until the test ends.
func Start(tb testing.TB) (k *Keystone, url string) {
	tb.Helper()
	k = New(tb)
	s := httptest.NewServer(k)
	tb.Cleanup(s.Close)
	k.At(s.URL)
	return k, s.URL
}

// At sets where its catalog says it is.
func (k *Keystone) At(url string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.url = url
}

// ID is the id of a project or user by its name.
func ID(kind, name string) string {
	id := fmt.Sprintf("%x%x", kind, name) + strings.Repeat("0", 32)
	return id[:32]
}

// Token is the token of that name among the recorded ones: root-admin and so on.
func Token(name string) string { return "gAAAAAB-" + name }

// Revoke ends the token of that name.
func (k *Keystone) Revoke(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.revoked[Token(name)] = true
}

// RevokeOwn ends the tokens that its clients have for themselves.
func (k *Keystone) RevokeOwn() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.own)
}

// SetClock makes its clock differ from ours. Recorded tokens keep their times by
// its clock.
func (k *Keystone) SetClock(offset time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.offset = offset
}

// SetLife sets how long the tokens of its clients are good.
func (k *Keystone) SetLife(life time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.life = life
}

// Add has it know another token, of which it says what it says of the one named like.
func (k *Keystone) Add(name, like string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.recorded.Tokens[like]
	if token, ok := s.Answer.Body["token"].(map[string]any); ok { // Edit changes one of them
		s.Answer.Body = map[string]any{"token": maps.Clone(token)}
	}
	k.recorded.Tokens[name] = s
}

// Edit changes what it says of a token, as when a role is removed.
func (k *Keystone) Edit(name string, edit func(token map[string]any)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	token, _ := k.recorded.Tokens[name].Answer.Body["token"].(map[string]any)
	edit(token)
}

// Before has every request shown to hook first, which may answer in Keystone's
// place and then returns true. nil ends that.
func (k *Keystone) Before(hook func(http.ResponseWriter, *http.Request) bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.hook = hook
}

// Down makes it answer as a proxy does whose Keystone is away, until Before is called again.
func (k *Keystone) Down() {
	k.Before(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
}

// Validations is how often it was asked about the token of that name, or "" for all.
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

// Authentications is how many tokens it has issued.
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

// describe answers who a token belongs to.
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
	if r.Header.Get("OpenStack-Identity-Access-Rules") == "" && hasAccessRules(answer.Body) { // it is for those who know of them
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

// token is a copy of the recorded description, its times moved to ours.
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
	if err != nil { // cannot be: it was read from JSON
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
