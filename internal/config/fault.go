package config

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong with a configuration.
type Fault struct {
	File    string // or the environment variable; "" for a default or a Config made in code
	Line    int    // 0 when there is none
	Section string // with Option; both are "" when the fault is the file's
	Option  string
	Value   string // as written, secrets left out
	Default bool   // the value is written nowhere
	Problem string // what is wrong and what is allowed
}

// String is the fault in one line.
func (f Fault) String() string {
	var b strings.Builder
	switch {
	case f.Line > 0:
		fmt.Fprintf(&b, "%s:%d: ", f.File, f.Line)
	case f.File != "":
		b.WriteString(f.File + ": ")
	}
	if f.Option != "" {
		fmt.Fprintf(&b, "[%s] %s", f.Section, f.Option)
		switch {
		case f.Default && f.Value == "": // is missing
		case f.Default:
			b.WriteString(" = " + shorten(f.Value) + " (the default)")
		default:
			b.WriteString(" = " + shorten(f.Value))
		}
		b.WriteString(": ")
	}
	b.WriteString(f.Problem)
	return strings.ReplaceAll(b.String(), "\n", `\n`)
}

// maxShown is how much of a value a fault shows: enough to recognise it.
const maxShown = 120

func shorten(s string) string {
	r := []rune(s)
	if len(r) <= maxShown {
		return s
	}
	return string(r[:maxShown]) + "..."
}

// FaultsError is all that is wrong with a configuration.
type FaultsError []Fault

// Error is the faults, a line each.
func (fs FaultsError) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}
