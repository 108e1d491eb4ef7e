package cli

import (
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	info := func(module string, settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: module}, Settings: settings}
	}
	commit := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef0123"}
	tests := []struct {
		name, linked string
		info         *debug.BuildInfo
		want         string
	}{
		{"from a checkout", "", info("(devel)", commit, debug.BuildSetting{Key: "vcs.modified", Value: "true"}), "devel (go1.26.8, commit 0123456789ab, modified)"},
		{"without a checkout", "", info("(devel)"), "devel (go1.26.8)"},
		{"without anything", "", info(""), "devel (go1.26.8)"},
		{"installed", "", info("v1.2.3"), "v1.2.3 (go1.26.8)"},
		{"linked", "v1.3.0", info("(devel)", commit), "v1.3.0 (go1.26.8, commit 0123456789ab)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := version(tt.linked, tt.info); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	if got := Version("v9"); !strings.HasPrefix(got, "v9") {
		t.Errorf("got %s", got)
	}
}
