package osloconf_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/osloconf"
)

func TestParseErrors(t *testing.T) {
	tests := []struct {
		name, text, want string
	}{
		{"no section", "\n# c\nhost = x\n", "f.conf:3: host is set before any section: put [DEFAULT] above it"},
		{"no assignment", "[DEFAULT]\nhost\n", "f.conf:2: neither a section, a comment nor an assignment: no = or : in the line"},
		{"no name", "[DEFAULT]\n= x\n", "f.conf:2: an assignment needs a name before the ="},
		{"no name, colon", "[DEFAULT]\n: x\n", "f.conf:2: an assignment needs a name before the :"},
		{"stray indentation", "[DEFAULT]\n\n  x = 1\n", "f.conf:3: an indented line continues the value above it, and there is none"},
		{"open section", "[DEFAULT\n", "f.conf:1: a section header must end with ]"},
		{"comment behind a section", "[DEFAULT] # c\n", "f.conf:1: a section header must end with ]"},
		{"nameless section", "[]\n", "f.conf:1: a section needs a name"},
		{"windows lines are counted once", "[DEFAULT]\r\n\r\nhost\r\n", "f.conf:3: neither a section, a comment nor an assignment: no = or : in the line"},
		{"a byte order mark", "\uFEFF[DEFAULT]\na = 1\n", "f.conf:1: the file begins with a byte order mark: save it as UTF-8 without one"},
		{"latin-1", "[DEFAULT]\na = 1\nhost = \xe9\n", "f.conf:3: the file is not UTF-8"},
		{"a real replacement character before bad bytes", "[DEFAULT]\na = \uFFFD\nb = \xff\n", "f.conf:3: the file is not UTF-8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := osloconf.New(nil)
			err := s.Add("f.conf", tt.text)
			if err == nil {
				t.Fatal("got no error")
			}
			if got := err.Error(); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if got := s.Groups(); len(got) != 0 {
				t.Errorf("the broken file left sections %v behind", got)
			}
		})
	}
}

func TestErrorsQuoteNoSecret(t *testing.T) {
	for _, line := range []string{"connection mysql//u-hunter2@h", "  hunter2", "[hunter2", "=hunter2"} {
		err := osloconf.New(nil).Add("f.conf", "[DEFAULT]\n"+line+"\n")
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestWhereValuesComeFrom(t *testing.T) {
	s := osloconf.New([]string{"OS_DEFAULT__B=env", "HOME=/root", "OS_BROKEN"})
	for _, f := range []struct{ name, text string }{
		{"one.conf", "[DEFAULT]\na = 1\n\nb = 1\n[Alpha]\nc = 1\n  2\nc = 3\n"},
		{"two.conf", "[DEFAULT]\nb = 2\n[empty]\n"},
	} {
		if err := s.Add(f.name, f.text); err != nil {
			t.Fatal(err)
		}
	}
	get := func(group, name string) osloconf.Value { v, _ := s.Get(group, name); return v }
	got := []any{
		get("DEFAULT", "a"), get("DEFAULT", "b"), s.Last("DEFAULT", "b"), s.All("alpha", "c"), get("alpha", "nope"),
		s.Groups(), s.Names("ALPHA"), s.HasGroup("empty"), s.HasGroup("nope"), s.Last("nope", "x"),
	}
	want := []any{
		osloconf.Value{Text: "1", File: "one.conf", Line: 2},
		osloconf.Value{Text: "env", File: "OS_DEFAULT__B"},
		osloconf.Value{Text: "2", File: "two.conf", Line: 2},
		[]osloconf.Value{{Text: "1\n2", File: "one.conf", Line: 6}, {Text: "3", File: "one.conf", Line: 8}},
		osloconf.Value{},
		[]string{"DEFAULT", "alpha", "empty"},
		[]string{"c"},
		true, false,
		osloconf.Value{},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNilSettingsAreEmpty(t *testing.T) {
	var s *osloconf.Settings
	if _, ok := s.Get("DEFAULT", "a"); ok || s.HasGroup("DEFAULT") || len(s.Groups()) != 0 || len(s.All("x", "y")) != 0 {
		t.Error("a nil *Settings has something")
	}
	got, err := s.Expand("DEFAULT", osloconf.Value{Text: "$a/x"}, func(string, string) (string, bool) { return "def", true })
	if want := "def/x"; err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestExpandErrors(t *testing.T) {
	var doubling strings.Builder // each option doubles the one below: 2^40 copies
	doubling.WriteString("[DEFAULT]\n")
	names := "abcdefghijklmno"
	for i := range len(names) - 1 {
		doubling.WriteString(names[i:i+1] + " = " + strings.Repeat("$"+names[i+1:i+2]+" ", 16) + "\n")
	}
	doubling.WriteString("o = x\n")

	var chain strings.Builder
	chain.WriteString("[DEFAULT]\n")
	for i := range 20 {
		chain.WriteString("a" + strings.Repeat("x", i) + " = $a" + strings.Repeat("x", i+1) + "\n")
	}

	tests := []struct {
		name, text, group, want string
	}{
		{"unknown", "[DEFAULT]\na = $nope\n", "DEFAULT", "$nope is set nowhere and has no default here"},
		{"unknown group", "[DEFAULT]\na = ${my.nope}\n", "DEFAULT", "$my.nope is set nowhere and has no default here"},
		{"itself", "[DEFAULT]\na = x$a\n", "DEFAULT", "options refer to each other in a circle: DEFAULT.a -> DEFAULT.a"},
		{"circle", "[DEFAULT]\na = $b\nb = $c\nc = $b\n", "DEFAULT", "options refer to each other in a circle: DEFAULT.b -> DEFAULT.c -> DEFAULT.b"},
		{"circle over groups", "[X]\na = $y.b\n[y]\nb = $x.a\n", "x", "options refer to each other in a circle: y.b -> x.a -> y.b"},
		{"too deep", chain.String(), "DEFAULT", "$axxxxxxxxxxxxxxxxx: options refer to each other more than 16 deep"},
		{"too long", doubling.String(), "DEFAULT", "substitution makes more than 65536 bytes"},
		{"too long by itself", "[DEFAULT]\na = " + strings.Repeat("x", 70000), "DEFAULT", "substitution makes more than 65536 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := osloconf.New(nil)
			if err := s.Add("f.conf", tt.text); err != nil {
				t.Fatal(err)
			}
			v, _ := s.Get(tt.group, "a")
			got, err := s.Expand(tt.group, v, func(string, string) (string, bool) { return "", false })
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %.40q, %v\nwant %s", got, err, tt.want)
			}
		})
	}
}
