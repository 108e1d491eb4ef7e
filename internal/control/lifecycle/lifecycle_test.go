package lifecycle_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/control/lifecycle"
)

var update = flag.Bool("update", false, "rewrite the table of doc/journal.md")

const (
	document = "../../../doc/journal.md"
	begin    = "<!-- lifecycle: go test ./internal/control/lifecycle -update -->\n"
	end      = "<!-- /lifecycle -->\n"
)

func kinds() []cinder.OperationKind {
	return []cinder.OperationKind{cinder.OpFreeze, cinder.OpThaw, cinder.OpFailover, cinder.OpCompletion}
}

// first is the phase in which operations of a kind begin.
func first(kind cinder.OperationKind) lifecycle.Phase {
	return lifecycle.Of(&cinder.Operation{Kind: kind, State: cinder.OpOpen})
}

// Every phase that an operation can come to is one that it can leave again, or a final one.
func TestNothingSticks(t *testing.T) {
	for _, kind := range kinds() {
		reached, todo := map[lifecycle.Phase]bool{}, []lifecycle.Phase{first(kind)}
		for len(todo) > 0 {
			phase := todo[0]
			todo = todo[1:]
			if reached[phase] {
				continue
			}
			reached[phase] = true
			ways := 0
			for _, tr := range lifecycle.Table() {
				if tr.To == "" || !slices.Contains(tr.Kinds, kind) || !slices.Contains(tr.From, phase) {
					continue
				}
				ways++
				todo = append(todo, tr.To)
			}
			switch {
			case phase.Final() && ways > 0:
				t.Errorf("a %s that is %s goes on", kind, phase)
			case !phase.Final() && ways == 0:
				t.Errorf("a %s that is %s never ends", kind, phase)
			}
		}
		for _, phase := range []lifecycle.Phase{lifecycle.Done, lifecycle.RolledBack, lifecycle.Failed} {
			if !reached[phase] {
				t.Errorf("a %s is never %s", kind, phase)
			}
		}
	}
}

// A row that another one before it always covers is one that nobody needs.
func TestEveryRowIsReached(t *testing.T) {
	for _, tr := range lifecycle.Table() {
		for _, kind := range tr.Kinds {
			for _, from := range tr.From {
				got, found := lifecycle.Step(kind, from, tr.When)
				if !found || got.When != tr.When || got.To != tr.To {
					t.Errorf("%s, %s, %s: comes to %q by the row of %q", kind, from, tr.When, got.To, got.When)
				}
			}
		}
	}
}

// What is stored of a phase is read back as it.
func TestPhasesAreDerived(t *testing.T) {
	for _, phase := range []lifecycle.Phase{lifecycle.Monitoring, lifecycle.Done, lifecycle.RolledBack, lifecycle.Failed} {
		if got := lifecycle.Of(&cinder.Operation{Kind: cinder.OpFreeze, State: phase.State()}); got != phase {
			t.Errorf("%s is read as %s", phase, got)
		}
	}
	for _, tt := range []struct {
		name string
		op   cinder.Operation
		want lifecycle.Phase
	}{
		{"a freeze", cinder.Operation{Kind: cinder.OpFreeze}, lifecycle.Commanded},
		{"a freeze that is undone", cinder.Operation{Kind: cinder.OpFreeze, Progress: cinder.Progress{Undoing: true}}, lifecycle.Compensating},
		{"a failover", cinder.Operation{Kind: cinder.OpFailover}, lifecycle.Commanded},
		{"a failover of which members are to hear", cinder.Operation{Kind: cinder.OpFailover, Progress: cinder.Progress{WatchUntil: t0()}}, lifecycle.Telling},
		{"members that are told once more", cinder.Operation{Kind: cinder.OpCompletion}, lifecycle.Telling},
	} {
		tt.op.State = cinder.OpOpen
		if got := lifecycle.Of(&tt.op); got != tt.want {
			t.Errorf("%s is %s, want %s", tt.name, got, tt.want)
		}
	}
}

// doc/journal.md has the table as it is.
func TestDocumentHasTheTable(t *testing.T) {
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := bytes.Cut(text, []byte(begin))
	old, after, ends := bytes.Cut(rest, []byte(end))
	if !found || !ends {
		t.Fatalf("%s has no place for the table", document)
	}
	want := table()
	if string(old) == want {
		return
	}
	if !*update {
		t.Fatalf("%s has another table than lifecycle; -update rewrites it", document)
	}
	if err := os.WriteFile(document, slices.Concat(before, []byte(begin+want+end), after), 0o600); err != nil {
		t.Fatal(err)
	}
}

// table is the transitions in Markdown, without those that wait.
func table() string {
	var b strings.Builder
	b.WriteString("\n| of | in | when | comes to | and |\n|---|---|---|---|---|\n")
	for _, tr := range lifecycle.Table() {
		if tr.To == "" && len(tr.Effects) == 0 && tr.Says == "" {
			continue
		}
		to := string(tr.To)
		if to == "" {
			to = "stays"
		}
		var does []string
		for _, e := range tr.Effects {
			does = append(does, string(e))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", join(tr.Kinds), join(tr.From), tr.When, to, strings.Join(does, "; "))
	}
	b.WriteString("\n")
	return b.String()
}

func join[T ~string](all []T) string {
	words := make([]string, len(all))
	for i, one := range all {
		words[i] = string(one)
	}
	return strings.Join(words, ", ")
}

func t0() time.Time { return time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC) }
