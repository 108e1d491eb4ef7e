package osloconf_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/osloconf"
)

// FuzzFile parses any text. A valid file must read back the same after its values are
// written out again, and all values must expand, or fail, within the limits.
func FuzzFile(f *testing.F) {
	for _, c := range osloCases(f) {
		f.Add(strings.Join(c.Files, ""))
	}
	f.Add("[0]\n\f#=") // an option called #
	f.Fuzz(func(t *testing.T, text string) {
		s := osloconf.New(nil)
		if err := s.Add("f.conf", text); err != nil {
			if !strings.HasPrefix(err.Error(), "f.conf:") {
				t.Errorf("an error without its place: %v", err)
			}
			return
		}
		var out strings.Builder
		want := map[string][]string{}
		for _, group := range s.Groups() {
			out.WriteString("[" + group + "]\n")
			for _, name := range s.Names(group) {
				for _, v := range s.All(group, name) {
					key := group + "\n" + name
					want[key] = append(want[key], v.Text)
					first, more, _ := strings.Cut(v.Text, "\n")
					// The form feed keeps a name that starts with # or [ from being a
					// comment or a header.
					out.WriteString("\f" + name + " = \"" + first + "\"\n")
					if more != "" {
						out.WriteString("\t" + strings.ReplaceAll(more, "\n", "\n\t") + "\n")
					}
					expanded, err := s.Expand(group, v, func(string, string) (string, bool) { return "", false })
					if err == nil && len(expanded) > 64<<10 {
						t.Errorf("%q expands to %d bytes", v.Text, len(expanded))
					}
				}
			}
		}
		again := osloconf.New(nil)
		if err := again.Add("again.conf", out.String()); err != nil {
			t.Fatalf("%v in\n%s", err, out.String())
		}
		got := map[string][]string{}
		for _, group := range again.Groups() {
			for _, name := range again.Names(group) {
				for _, v := range again.All(group, name) {
					got[group+"\n"+name] = append(got[group+"\n"+name], v.Text)
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-first +again):\n%s", diff)
		}
	})
}

// FuzzExpand expands any value, among options that refer to each other in every way.
func FuzzExpand(f *testing.F) {
	for _, seed := range []string{"$a", "${b}", "$x.c", "$$", `\$a`, "$", "${", "$a$b$c", "${x.c", "$a.b.c"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		s := osloconf.New([]string{"OS_DEFAULT__A=" + a, "OS_DEFAULT__B=" + b, "OS_X__C=" + a + b})
		for _, group := range []string{"DEFAULT", "x"} {
			got, err := s.Expand(group, osloconf.Value{Text: a}, func(_, name string) (string, bool) { return b, name == "d" })
			if err == nil && len(got) > 64<<10 {
				t.Errorf("expands to %d bytes", len(got))
			}
			if err == nil && !strings.Contains(a, "$") && got != a {
				t.Errorf("got %q, want %q: there is nothing to substitute", got, a)
			}
		}
	})
}
