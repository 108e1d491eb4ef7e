package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"stoker/internal/config"
)

func TestURLString(t *testing.T) {
	tests := []struct{ url, want string }{
		{"", ""},
		{"memory://", "memory://"},
		{"sqlite:////var/lib/x.db", "sqlite:////var/lib/x.db"},
		{"sqlite:///x.db?password=hunter2", "sqlite:///x.db?***"},
		{"mysql+pymysql://cinder:hunter2@db:3306/cinder?charset=utf8", "mysql+pymysql://***@db:3306/cinder?***"},
		{"rabbit://a:hunter2@h1:5672,b:hunter2@h2:5672/vhost", "rabbit://***@h2:5672/vhost"},
		{"mysql://u:hun@ter2@h/d", "mysql://***@h/d"},
		{"mysql://u:hunt/er2@h/d", "mysql://***@h/d"},
		{"mysql://u:hunt?er2@h/d", "mysql://***"},
		{"mysql://h/d?password=hunter@2", "mysql://***"},
		{"mysql://u:hunter2", "mysql://***"},
		{"mysql:u:hunter2@h/d", "***"},
		{"hunter2", "***"},
	}
	for _, tt := range tests {
		if got := config.URL(tt.url).String(); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.url, got, tt.want)
		}
	}
}

// However a Config is printed, no secret is in it.
func TestNoSecretIsPrinted(t *testing.T) {
	c := config.Default()
	c.Database = "mysql://cinder:hunter2@db/cinder"
	c.TransportURL = "rabbit://openstack:hunter2@h/"
	c.Authtoken.Password, c.Authtoken.CredentialSecret = "hunter2", "hunter2"
	c.Backends = []config.Backend{{Section: "a", ReplicationDevices: []config.ReplicationDevice{
		{BackendID: "b", Params: map[string]string{"san_password": "hunter2", "san_login": "admin"}},
	}}}
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("configuration", "config", c, "pointer", &c, "url", c.Database, "backend", c.Backends[0], "backends", c.Backends)
	}
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	printed := []string{log.String(), string(asJSON)}
	for _, v := range []any{c, &c, c.Database, &c.Database, c.Authtoken, c.Authtoken.Password, c.Backends, c.Backends[0], c.Backends[0].ReplicationDevices} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			printed = append(printed, fmt.Sprintf(verb, v))
		}
	}
	for _, p := range printed {
		if strings.Contains(p, "hunter2") {
			t.Errorf("a secret is in %s", p)
		}
	}
	if err := c.Validate(); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("faults: %v", err)
	}
	if got, want := c.String(), "replication_device = backend_id:b,san_login:***,san_password:***"; !strings.Contains(got, want) {
		t.Errorf("no %q in\n%s", want, got)
	}
}
