package policy_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
	"stoker/internal/policy"
)

// judge is a policy server that always gives the same answer.
func judge(t *testing.T, answer string, seen func(*http.Request, string)) http.Handler {
	t.Helper()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if seen != nil {
			seen(r, string(body))
		}
		if _, err := io.WriteString(w, answer); err != nil {
			t.Log(err) // a client that has read enough hangs up
		}
	})
}

func remotely(t *testing.T, check string, remote policy.Remote) *policy.Enforcer {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(path, []byte(rule(check)), 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := policy.New(policy.Options{File: path, Remote: remote})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestRemoteAnswers(t *testing.T) {
	for answer, want := range map[string]bool{
		"True": true, `"True"`: true, `""True`: true, "true": false, "False": false, "": false, "True\n": false, "True" + strings.Repeat("x", 1<<20): false,
	} {
		s := httptest.NewServer(judge(t, answer, nil))
		err := remotely(t, s.URL, policy.Remote{}).Allow(t.Context(), reader(), list)
		s.Close()
		if (err == nil) != want || err != nil && cinder.KindOf(err) != cinder.KindForbidden {
			t.Errorf("%.20q: %v, want %v", answer, err, want)
		}
	}
}

// TestRemoteQuestions compares our requests with those of oslo.policy.
func TestRemoteQuestions(t *testing.T) {
	wantRule, wantTarget := any(list), any(map[string]any{"project_id": "p", "user_id": "u"})
	wantCaller := any(map[string]any{
		"user_id": "u", "user_domain_id": nil, "system_scope": nil, "domain_id": nil, "project_id": "p", "project_domain_id": nil,
		"roles": []any{"reader"}, "is_admin_project": true, "is_admin": false, "service_user_id": nil, "service_user_domain_id": nil,
		"service_project_id": nil, "service_project_domain_id": nil, "service_roles": nil,
	})
	for _, contentType := range []string{"", policy.ContentForm, policy.ContentJSON} {
		var header, body, path string
		s := httptest.NewServer(judge(t, "True", func(r *http.Request, b string) { header, body, path = r.Header.Get("Content-Type"), b, r.URL.Path }))
		err := remotely(t, s.URL+"/may/%(user_id)s", policy.Remote{ContentType: contentType}).Allow(t.Context(), reader(), list)
		s.Close()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]any{}
		if contentType == policy.ContentJSON {
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatal(err)
			}
		} else {
			form, err := url.ParseQuery(body)
			if err != nil {
				t.Fatal(err)
			}
			for name := range form {
				var v any
				if err := json.Unmarshal([]byte(form.Get(name)), &v); err != nil {
					t.Fatal(err)
				}
				got[name] = v
			}
			contentType = policy.ContentForm
		}
		if diff := cmp.Diff(map[string]any{"rule": wantRule, "target": wantTarget, "credentials": wantCaller}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", contentType, diff)
		}
		if header != contentType || path != "/may/u" {
			t.Errorf("sent as %s to %s", header, path)
		}
	}
}

// TestRemoteAway checks that an unavailable server denies, also under "not", and within
// the timeout.
func TestRemoteAway(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	ended, stop := context.WithCancel(context.Background())
	hung := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-ended.Done() }))
	defer hung.Close()
	defer stop()
	for name, check := range map[string]string{
		"gone": gone.URL, "hung": hung.URL, "under not": "not " + gone.URL, "before what passes": gone.URL + " or @", "no URL": "http://%%zz/", "no file": "https://localhost:1/",
	} {
		e := remotely(t, check, policy.Remote{Timeout: 50 * time.Millisecond, CertFile: "/nosuch"})
		if err := e.Allow(t.Context(), reader(), list); cinder.KindOf(err) != cinder.KindUnavailable {
			t.Errorf("%s: %v, want that it is unavailable", name, err)
		}
	}
}

func TestRemoteOverTLS(t *testing.T) {
	s := httptest.NewTLSServer(judge(t, "True", nil))
	defer s.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := x509.ParseCertificate(s.Certificate().Raw); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		remote policy.Remote
		want   bool
	}{
		"as it comes":    {policy.Remote{}, true}, // oslo.policy's default
		"verified":       {policy.Remote{VerifyServer: true, CAFile: ca}, true},
		"not to be true": {policy.Remote{VerifyServer: true}, false},
		"no CA file":     {policy.Remote{VerifyServer: true, CAFile: "/nosuch"}, false},
	} {
		err := remotely(t, s.URL, tt.remote).Allow(t.Context(), reader(), list)
		if (err == nil) != tt.want {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}
