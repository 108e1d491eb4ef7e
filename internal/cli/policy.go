package cli

import (
	"io"
	"slices"

	"stoker/internal/app"
	"stoker/internal/cli/format"
	"stoker/internal/config"
	"stoker/internal/policy"
)

type policyCmd struct {
	List   policyListCmd   `cmd:"" help:"Show the policy rules in force, and where each comes from."`
	Check  policyCheckCmd  `cmd:"" help:"Tell what somebody may do, and why."`
	Sample policySampleCmd `cmd:"" help:"Write a policy file with every default, commented out."`
}

// policyFlags say which policy is meant.
type policyFlags struct {
	configFlags
	PolicyFile string `placeholder:"FILE" help:"Read the rules from FILE alone, whatever a configuration says."`
}

// enforcer is the policy. Nothing but [oslo_policy] is found fault with.
func (f policyFlags) enforcer(p Process) (*policy.Enforcer, error) {
	files, err := f.named()
	if err != nil {
		return nil, err
	}
	c, faults := config.Check(files, p.Env, config.ForAPI)
	faults = slices.DeleteFunc(faults, func(x config.Fault) bool { return x.Option != "" && x.Section != "oslo_policy" })
	if len(faults) > 0 {
		return nil, faults
	}
	o := app.PolicyOptions(c)
	if f.PolicyFile != "" {
		o.File, o.Dirs, o.Find = f.PolicyFile, nil, nil
		text, err := openFile(f.PolicyFile)
		if err != nil {
			return nil, err // a policy file need not be there; one that was named must
		}
		if err := text.Close(); err != nil {
			return nil, err
		}
	}
	return policy.New(o)
}

// outputFlags are those of commands that print without calling the API.
type outputFlags struct {
	Output string `short:"o" placeholder:"FORM" enum:"table,json,yaml" default:"table" help:"The form of the output: table, json or yaml (default: table)."`
}

type policyListCmd struct {
	policyFlags
	outputFlags
}

// Help is shown by --help.
func (policyListCmd) Help() string {
	return `A rule that will not do what it says has a problem: it denies.

Examples:

  stoker policy list
  stoker policy list --config-file /etc/cinder/cinder.conf
  stoker policy list --policy-file policy.yaml -o json`
}

// Run runs it.
func (c *policyListCmd) Run(p Process) error {
	e, err := c.enforcer(p)
	if err != nil {
		return err
	}
	type rule struct {
		Name     string   `json:"name"`
		Check    string   `json:"check"`
		Source   string   `json:"source"`
		Problems []string `json:"problems"`
	}
	rules := []rule{}
	t := format.Table{Header: []string{"Rule", "Check", "From"}}
	problems := format.Table{Header: []string{"Rule", "Problem"}}
	for _, r := range e.Rules() {
		rules = append(rules, rule{r.Name, r.Check, r.Source, append([]string{}, r.Problems...)})
		t.Rows = append(t.Rows, []string{r.Name, r.Check, r.Source})
		for _, why := range r.Problems {
			problems.Rows = append(problems.Rows, []string{r.Name, why})
		}
	}
	if err := format.Write(p.Stdout, c.Output, rules, t); err != nil || len(problems.Rows) == 0 || c.Output != format.FormTable {
		return err
	}
	if _, err := io.WriteString(p.Stdout, "\nThese will not do what they say:\n\n"); err != nil {
		return err
	}
	return format.Write(p.Stdout, c.Output, nil, problems)
}
