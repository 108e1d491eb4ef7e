package config_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/config"
)

type allowed struct {
	Credentials bool     `json:"allow_credentials"`
	Expose      []string `json:"expose_headers"`
	MaxAge      int      `json:"max_age"`
	Methods     []string `json:"allow_methods"`
	Headers     []string `json:"allow_headers"`
}

// testdata/cors.json is what oslo.middleware allows to whom.
func TestCORSLikeOsloMiddleware(t *testing.T) {
	b, err := os.ReadFile("testdata/cors.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name, Text string
		Allowed    map[string]allowed
	}
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	for _, tt := range cases {
		t.Run(tt.Name, func(t *testing.T) {
			c, faults := config.Check([]string{file(t, "[DEFAULT]\nauth_strategy = noauth\n"+tt.Text)}, nil, config.ForAPI)
			if len(faults) > 0 {
				t.Fatal(faults)
			}
			got := map[string]allowed{}
			for _, section := range append([]config.CORS{c.Edge.CORS}, c.Edge.MoreCORS...) {
				for _, origin := range section.Origins {
					if _, ok := got[origin]; !ok {
						got[origin] = allowed{section.Credentials, section.ExposeHeaders, int(section.MaxAge / time.Second), section.Methods, section.Headers}
					}
				}
			}
			if diff := cmp.Diff(tt.Allowed, got, cmp.Transformer("empty", func(s []string) string { return strings.Join(s, ",") })); diff != "" {
				t.Errorf("(-oslo.middleware +got):\n%s", diff)
			}
			for _, i := range c.Unknown(config.ForAll) {
				if strings.HasPrefix(i.Section, "cors.") {
					t.Errorf("an option that counts is said to be ignored: %v", i)
				}
			}
		})
	}
}

// What is wrong in a section is said, for the API alone, and what is in it shown.
func TestFaultsOfCORSSections(t *testing.T) {
	name := file(t, "[DEFAULT]\nauth_strategy = noauth\n[cors.b]\nallowed_origin = https://b.example\nmax_age = -5\nallow_credentials = perhaps\nallow_method = GET\n")
	c, faults := config.Check([]string{name}, nil, config.ForAPI)
	if len(faults) != 2 || faults[0].Line != 5 || faults[0].Section != "cors.b" || faults[1].Line != 6 {
		t.Errorf("faults: %v", faults)
	}
	if unknown := c.Unknown(config.ForAll); len(unknown) != 1 || unknown[0].Option != "allow_method" {
		t.Errorf("ignored: %v", unknown)
	}
	if text := c.String(); !strings.Contains(text, "[cors.b]\nallowed_origin = https://b.example\n") {
		t.Errorf("it is shown as\n%s", text)
	}
	if _, faults := config.Check([]string{name}, nil, config.ForService); len(faults) != 0 {
		for _, f := range faults {
			if f.Section == "cors.b" {
				t.Errorf("a fault for what has no API: %v", f)
			}
		}
	}
}
