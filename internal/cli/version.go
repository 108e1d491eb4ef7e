package cli

import (
	"cmp"
	"fmt"
	"runtime/debug"
	"strings"
)

// Version says which stoker this is: the version that was given to the linker
// or, without one, that of the module, and the commit it was built from.
func Version(linked string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return cmp.Or(linked, "unknown")
	}
	return version(linked, info)
}

func version(linked string, info *debug.BuildInfo) string {
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	commit := settings["vcs.revision"]
	if len(commit) > 12 {
		commit = commit[:12]
	}
	if commit != "" && settings["vcs.modified"] == "true" {
		commit += ", modified"
	}
	v := fmt.Sprintf("%s (%s", cmp.Or(linked, strings.Trim(info.Main.Version, "()"), "devel"), info.GoVersion)
	if commit != "" {
		v += ", commit " + commit
	}
	return v + ")"
}
