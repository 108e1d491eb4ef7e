// Command stoker is the control plane of a block-storage fleet; see stoker --help.
package main

import (
	"os"

	"stoker/internal/cli"
)

// version is set by the linker: -ldflags "-X main.version=v1.2.3".
var version string

func main() {
	os.Exit(cli.Main(cli.Process{
		Args:    os.Args[1:],
		Env:     os.Environ(),
		Stdin:   os.Stdin,
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
		Version: cli.Version(version),
	}, cli.Servers()))
}
