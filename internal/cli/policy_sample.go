package cli

import (
	"bufio"
	"fmt"

	"stoker/internal/policy"
)

type policySampleCmd struct{}

// Help is shown by --help.
func (policySampleCmd) Help() string {
	return `The file says what each rule is for and what it is without a file. A rule that stands there as a comment follows the default of later versions.

Example:

  stoker policy sample > policy.yaml`
}

// Run runs it.
func (c *policySampleCmd) Run(p Process) error {
	w := bufio.NewWriter(p.Stdout)
	fmt.Fprint(w, `# Who may do what, in the language of oslo.policy. Every rule below is a default:
# take the # away from its last line to change it. The file is read again when
# it changes; replace it (write a new one, and rename it), so that nobody reads
# half of it.
`)
	for _, d := range policy.Defaults() {
		fmt.Fprintf(w, "\n# %s\n", d.Description)
		for _, r := range d.Requests {
			fmt.Fprintf(w, "# %s\n", r)
		}
		fmt.Fprintf(w, "#%q: %q\n", d.Name, d.Check)
	}
	return w.Flush()
}
