package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"stoker/internal/api"
	"stoker/internal/cinder"
	"stoker/internal/cli/format"
	"stoker/internal/policy"
	"stoker/internal/printable"
)

type policyCheckCmd struct {
	Rule string `arg:"" optional:"" help:"The rule to ask for; without one, all of them."`

	Role      []string `sep:"," placeholder:"ROLE" help:"A role of the caller. May be repeated."`
	User      string   `placeholder:"ID" help:"The caller's user."`
	Project   string   `placeholder:"ID" help:"The project of the caller's token."`
	Domain    string   `placeholder:"ID" help:"The domain of the caller's token, of a token for a domain."`
	System    bool     `help:"The caller's token is for the whole system."`
	TokenJSON string   `name:"token-json" placeholder:"FILE" help:"What Keystone says of the token (GET /v3/auth/tokens), in place of the above; - is standard input."`
	policyFlags
	outputFlags
}

// Help is shown by --help.
func (policyCheckCmd) Help() string {
	return `Each check that was looked at is shown with + when it passes and - when it does not, and what it was compared with. Where a request asks for another rule first, that is shown as well: both must allow. The exit status is 1 when a rule that was looked at denies.

Examples:

  stoker policy check volume_extension:services:index --role reader --project 0123456789abcdef
  stoker policy check --role reader --system --policy-file policy.yaml
  stoker policy check volume:freeze_host --token-json token.json --config-file /etc/cinder/cinder.conf`
}

// Run runs it.
func (c *policyCheckCmd) Run(ctx context.Context, p Process) error {
	caller, err := c.caller()
	if err != nil {
		return err
	}
	e, err := c.enforcer(p)
	if err != nil {
		return err
	}
	if c.Rule == "" {
		return c.all(ctx, p, e, caller)
	}
	asked := []question{{rule: c.Rule}}
	if before := api.RuleBefore(c.Rule); before != "" {
		asked = append(asked, question{rule: before})
	}
	for i, q := range asked {
		if asked[i].answer, err = e.Explain(ctx, caller, q.rule); err != nil {
			return err
		}
	}
	if err := c.print(p.Stdout, asked); err != nil {
		return err
	}
	for _, q := range slices.Backward(asked) { // as a request asks
		if !q.answer.Allowed {
			return cinder.Errorf(cinder.KindForbidden, "Policy doesn't allow %s to be performed.", q.rule)
		}
	}
	return nil
}

// question is a rule and what comes of it.
type question struct {
	rule   string
	answer policy.Explanation
}

// print shows the rule that was asked for, and the one that a request asks for before it.
func (c *policyCheckCmd) print(w io.Writer, asked []question) error {
	if c.Output != format.FormTable {
		r := explained(asked[0])
		var before any
		if len(asked) > 1 {
			before = explained(asked[1])
		}
		return format.Write(w, c.Output, append(r, format.Field{Name: "before", Value: before}), format.Table{})
	}
	text := told(asked[0])
	if len(asked) > 1 {
		text += "\nA request asks for this rule first, and both must allow:\n" + told(asked[1])
	}
	_, err := io.WriteString(w, printable.Lines(text))
	return err
}

// all shows the verdict of every rule.
func (c *policyCheckCmd) all(ctx context.Context, p Process, e *policy.Enforcer, caller cinder.Caller) error {
	type verdict struct {
		Rule    string `json:"rule"`
		Allowed bool   `json:"allowed"`
		Before  string `json:"before"`
	}
	verdicts := []verdict{}
	t := format.Table{Header: []string{"Rule", "Allowed", "Asked for first"}}
	for _, r := range e.Rules() {
		allowed := e.Allow(ctx, caller, r.Name) == nil
		before := api.RuleBefore(r.Name)
		verdicts = append(verdicts, verdict{r.Name, allowed, before})
		t.Rows = append(t.Rows, []string{r.Name, format.Cell(allowed), before})
	}
	return format.Write(p.Stdout, c.Output, verdicts, t)
}

// caller is who the flags speak of.
func (c *policyCheckCmd) caller() (cinder.Caller, error) {
	if c.TokenJSON != "" {
		if len(c.Role) > 0 || c.User != "" || c.Project != "" || c.Domain != "" || c.System {
			return cinder.Caller{}, usageError{"--token-json says everything of the caller: leave the other flags out"}
		}
		return readToken(c.TokenJSON)
	}
	caller := cinder.Caller{UserID: c.User, ProjectID: c.Project, DomainID: c.Domain, Roles: c.Role, IsAdminProject: true}
	if c.System {
		caller.SystemScope = "all"
	}
	return caller, nil
}

func openFile(name string) (*os.File, error) {
	if name == "-" {
		return os.Stdin, nil
	}
	return os.Open(name)
}

// maxToken bounds what is read of a token: those of large catalogs are some
// hundred kilobytes.
const maxToken = 4 << 20

// readToken reads what Keystone says of a token.
func readToken(name string) (cinder.Caller, error) {
	f, err := openFile(name)
	if err != nil {
		return cinder.Caller{}, err
	}
	defer f.Close()
	type owner struct {
		ID     string
		Domain struct{ ID string }
	}
	var answer struct {
		Token *struct {
			User           owner
			Project        owner
			Domain         struct{ ID string }
			System         struct{ All bool }
			Roles          []struct{ Name string }
			IsAdminProject *bool `json:"is_admin_project"`
		}
	}
	if err := json.NewDecoder(io.LimitReader(f, maxToken)).Decode(&answer); err != nil || answer.Token == nil {
		return cinder.Caller{}, fmt.Errorf("%s does not hold what Keystone says of a token: an object with token in it", name)
	}
	t := answer.Token
	caller := cinder.Caller{
		UserID: t.User.ID, UserDomainID: t.User.Domain.ID, ProjectID: t.Project.ID, ProjectDomainID: t.Project.Domain.ID,
		DomainID: t.Domain.ID, IsAdminProject: t.IsAdminProject == nil || *t.IsAdminProject,
	}
	if t.System.All {
		caller.SystemScope = "all"
	}
	for _, r := range t.Roles {
		caller.Roles = append(caller.Roles, r.Name)
	}
	return caller, nil
}

// told is an explanation in words.
func told(q question) string {
	rule, x := q.rule, q.answer
	var b strings.Builder
	verdict := "denied"
	if x.Allowed {
		verdict = "allowed"
	}
	fmt.Fprintf(&b, "%s: %s\n", rule, verdict)
	if x.Rule.Name != rule {
		fmt.Fprintf(&b, "There is no such rule: %s counts.\n", x.Rule.Name)
	}
	fmt.Fprintf(&b, "  %s  (%s)\n", cmp.Or(x.Rule.Check, "@"), x.Rule.Source)
	tell(&b, "    ", x.Steps)
	if x.Admin != nil {
		b.WriteString("is_admin is decided by context_is_admin:\n")
		tell(&b, "    ", x.Admin)
	}
	return b.String()
}

func tell(b *strings.Builder, indent string, s *policy.Step) {
	sign := "-"
	if s.Passed {
		sign = "+"
	}
	b.WriteString(indent + sign + " " + s.Check)
	if s.Why != "" {
		b.WriteString("  (" + s.Why + ")")
	}
	b.WriteByte('\n')
	for _, below := range s.Steps {
		tell(b, indent+"  ", below)
	}
}

// explained is an explanation for a program.
func explained(q question) format.Record {
	x := q.answer
	return format.Record{
		{Name: "rule", Value: q.rule},
		{Name: "allowed", Value: x.Allowed},
		{Name: "check", Value: x.Rule.Check},
		{Name: "source", Value: x.Rule.Source},
		{Name: "steps", Value: stepRecord(x.Steps)},
		{Name: "is_admin", Value: stepRecord(x.Admin)},
	}
}

func stepRecord(s *policy.Step) any {
	if s == nil {
		return nil
	}
	below := []any{}
	for _, b := range s.Steps {
		below = append(below, stepRecord(b))
	}
	return format.Record{
		{Name: "check", Value: s.Check}, {Name: "passed", Value: s.Passed}, {Name: "why", Value: s.Why}, {Name: "steps", Value: below},
	}
}
