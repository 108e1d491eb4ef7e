package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// corsOptions are a section as the cases have it.
type corsOptions struct {
	Origins     []string `json:"allowed_origin"`
	Credentials *bool    `json:"allow_credentials"`
	Expose      []string `json:"expose_headers"`
	MaxAge      int      `json:"max_age"`
	Methods     []string `json:"allow_methods"`
	Headers     []string `json:"allow_headers"`
}

func TestCORS(t *testing.T) {
	b, err := os.ReadFile("testdata/cors.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name    string
		Method  string
		Headers map[string]string
		Vary    string
		Answer  map[string]string
		Options corsOptions
		More    []corsOptions // [cors.NAME]
	}
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 70 {
		t.Fatalf("%d cases only", len(cases))
	}
	for _, tt := range cases {
		t.Run(tt.Name, func(t *testing.T) {
			var c origins
			for _, o := range append([]corsOptions{tt.Options}, tt.More...) {
				c = append(c, CORS{Origins: o.Origins, Credentials: o.Credentials == nil || *o.Credentials, Expose: o.Expose, MaxAge: time.Duration(o.MaxAge) * time.Second, Methods: o.Methods, Headers: o.Headers})
			}
			r := httptest.NewRequestWithContext(t.Context(), tt.Method, "/", http.NoBody)
			for k, v := range tt.Headers {
				r.Header.Set(k, v)
			}
			h := http.Header{}
			if tt.Vary != "" {
				h.Set("Vary", tt.Vary)
			}
			c.add(h, r)
			got := map[string]string{}
			for k := range h {
				got[k] = h.Get(k)
			}
			if tt.Answer["Location"] != "" { // of the application behind it
				delete(tt.Answer, "Location")
			}
			if diff := cmp.Diff(tt.Answer, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
