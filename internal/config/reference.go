package config

import (
	"fmt"
	"strings"

	"stoker/internal/osloconf"
)

// Reference is the text of doc/configuration.md.
func Reference() string {
	var b strings.Builder
	b.WriteString(referenceHead)
	section := ""
	for _, o := range options() {
		if o.group != section {
			section = o.group
			fmt.Fprintf(&b, "\n## [%s]\n", section)
		}
		describe(&b, o)
	}
	b.WriteString(referenceBackends)
	for _, o := range backendOptions() {
		describe(&b, o)
	}
	return b.String()
}

func describe[T any](b *strings.Builder, o option[T]) {
	fmt.Fprintf(b, "\n### %s\n\n%s\n\n", o.name, o.help)
	fmt.Fprintf(b, "- Must be %s.\n", o.allowed)
	switch {
	case strings.Contains(o.help, "The default is"): // and is not the same everywhere
	case o.def != "":
		fmt.Fprintf(b, "- Default: `%s`\n", o.def)
	case !o.multi:
		b.WriteString("- Default: none.\n")
	}
	if o.group != "" {
		fmt.Fprintf(b, "- Environment: `%s`\n", osloconf.EnvName(o.group, o.name))
	}
	if o.ours {
		b.WriteString("- Stoker's own: Cinder has no such option.\n")
	}
}

const referenceHead = `# Configuration

<!-- Written from the table of options in internal/config: go test ./internal/config -update -->

` + "`stoker api --config-file F [--config-file G ...]`" + ` reads Cinder's own file format with Cinder's option names, so that the file that
starts cinder-api, cinder-volume, cinder-scheduler or cinder-backup starts Stoker's. ` + "`stoker standalone`" + ` needs no file and reads none.

- A comment starts in the first column, with # or ;. Behind a value it is part of the value.
- An indented line continues the value above it. One pair of quotes around a value is taken off.
- Of an option that is set twice the last one counts, and of several files the later one; replication_device adds up.
- ` + "`$name`, `${name}` and `$section.name`" + ` stand for the values of other options; ` + "`$$`" + ` is a dollar sign. ` + "`$my_ip`" + `
  is the machine's address, unless the file sets ` + "`my_ip`" + `.
- The environment has the last word: ` + "`OS_SECTION__OPTION`, such as `OS_DATABASE__CONNECTION`" + `.
- ` + "`--config-dir D`" + ` reads the files *.conf in D, in the order of their names, alone or after those.
- Times are in seconds. A number that is set to nothing (` + "`max_pool_size =`" + `) has its default.
- What is wrong with an option is no fault for a program that has no use for it, so that one file does for all machines: ` + "`stoker config check`" + `
  lists every fault, and the ignored options for which Stoker behaves otherwise; with --all, every ignored one.
- Options that Stoker does not know are ignored. Values that are not allowed are reported all at once, each with its file and line, and
  nothing is started. Passwords are printed nowhere.

The smallest file that starts an API:

    [DEFAULT]
    auth_strategy = noauth
    [database]
    connection = sqlite:////var/lib/stoker/stoker.sqlite
`

const referenceBackends = `
## Backends

Each name in enabled_backends is the name of a section with these options. What a backend's section does not set is looked up in
` + "`[backend_defaults]`" + `. Other options of Cinder's drivers, volume_driver among them, are ignored: every backend is a mirror, and the storage of the driver is
neither asked nor changed.
`
