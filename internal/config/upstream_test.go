package config_test

import (
	"strings"
	"testing"

	"stoker/internal/config"
)

// An upstream is an address and nothing else, and not this API's own. What is
// refused is not printed where it may hold a password.
func TestUpstream(t *testing.T) {
	tests := []struct {
		name, value string
		more        string // lines of [DEFAULT]
		ok          bool
	}{
		{"none", "", "", true},
		{"one", "http://127.0.0.1:8778", "", true},
		{"without a port", "https://cinder.example", "", true},
		{"a slash at the end", "http://127.0.0.1:8778/", "", true},
		{"several", "http://192.0.2.1:8778, https://[2001:db8::1]:8778", "", true},
		{"this port elsewhere", "http://192.0.2.1:8776", "", true},
		{"this port at a name", "http://other:8776", "", true},
		{"this port on another address", "http://127.0.0.1:8776", "osapi_volume_listen = 192.0.2.1", true},

		{"no URL", "127.0.0.1:8778", "", false},
		{"another scheme", "ftp://127.0.0.1", "", false},
		{"no host", "http://", "", false},
		{"no host but a port", "http://:8778", "", false},
		{"no port behind the colon", "http://a:", "", false},
		{"port 0", "http://a:0", "", false},
		{"a port too high", "http://a:65536", "", false},
		{"user and password", "http://me:hush@127.0.0.1:8778", "", false},
		{"a path", "http://127.0.0.1:8778/v3", "", false},
		{"a query", "http://127.0.0.1:8778?hush=1", "", false},
		{"an empty query", "http://127.0.0.1:8778?", "", false},
		{"a fragment", "http://127.0.0.1:8778#hush", "", false},
		{"twice", "http://a:1,http://a:1/", "", false},
		{"one of two is wrong", "http://127.0.0.1:8778,http://me:hush@b", "", false},
		{"itself", "http://127.0.0.1:8776", "", false},
		{"itself by another name", "http://localhost:8776", "", false},
		{"itself, on another port", "http://127.0.0.1:1234", "osapi_volume_listen_port = 1234", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := file(t, "[DEFAULT]\nauth_strategy = noauth\n"+tt.more+"\n[stoker]\ninsecure_noauth = true\nupstream = "+tt.value+"\n")
			c, err := config.Load([]string{path}, nil, config.ForAPI)
			if (err == nil) != tt.ok {
				t.Fatalf("got %v", err)
			}
			if err != nil && (!strings.Contains(err.Error(), "[stoker] upstream") || strings.Contains(err.Error(), "hush")) {
				t.Errorf("it says: %v", err)
			}
			if strings.Contains(c.String(), "hush") {
				t.Errorf("it prints: %s", c)
			}
			if _, err := config.Load([]string{path}, nil, config.ForVolume); err != nil && strings.Contains(err.Error(), "upstream") {
				t.Errorf("a program without an API has no use for it: %v", err)
			}
		})
	}
}

// Who checks the configuration of an API that passes nothing on is told what has to
// stand beside it.
func TestAloneIsSaid(t *testing.T) {
	c := config.Default()
	if c.Alone(config.ForAPI) == "" || c.Alone(config.ForAll) == "" || c.Alone(config.ForVolume) != "" {
		t.Error("it is said to the wrong ones")
	}
	c.Upstream = []string{"http://a"}
	if got := c.Alone(config.ForAPI); got != "" {
		t.Errorf("with an upstream it says %s", got)
	}
}
