package config_test

import (
	"strings"
	"testing"

	"stoker/internal/config"
)

// FuzzValues sets options to any value. What is taken must be valid, and load
// again from its own text; what is not must be told in whole lines.
func FuzzValues(f *testing.F) {
	options := []string{
		"DEFAULT__HOST", "DEFAULT__ENABLED_BACKENDS", "DEFAULT__REPORT_INTERVAL", "DEFAULT__OSAPI_VOLUME_LISTEN",
		"DEFAULT__OSAPI_VOLUME_LISTEN_PORT", "DEFAULT__DEBUG", "DATABASE__CONNECTION", "DEFAULT__TRANSPORT_URL",
		"STOKER__FAILOVER_EXPIRY", "A__REPLICATION_DEVICE", "A__VOLUME_BACKEND_NAME",
	}
	for i, seed := range []string{"h", "a,b", "5", "::1", "0", "on", "sqlite:////x", "memory://", "1.5", "backend_id:x,k:v", "$host"} {
		f.Add(uint8(i), seed)
	}
	f.Fuzz(func(t *testing.T, which uint8, value string) {
		env := []string{
			"OS_DEFAULT__AUTH_STRATEGY=noauth", "OS_DEFAULT__ENABLED_BACKENDS=a", "OS_A__VOLUME_BACKEND_NAME=x", "OS_DEFAULT__HOST=h",
			"OS_" + options[int(which)%len(options)] + "=" + value,
		}
		c, err := config.Load(nil, env, config.ForAll)
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if !strings.Contains(line, "] ") {
					t.Errorf("a fault that names no option: %q", line)
				}
			}
			return
		}
		if err := c.Validate(); err != nil {
			t.Errorf("loaded, and then: %v", err)
		}
		_ = c.String()
	})
}
