package osloconf_test

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/osloconf"
)

// oslo is a case of testdata/oslo.json: results of the Python library.
type oslo struct {
	Name     string
	Files    []string
	Env      map[string]string
	Defaults [][3]*string
	Ask      []question
	Answers  any // one per question, or an object when the files cannot be read
	Ours     any // where our result differs
	Differs  string
}

type question struct {
	group, name string
	multi       bool
}

func (q *question) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(b, &[]any{&q.group, &q.name, &q.multi})
}

func osloCases(tb testing.TB) []oslo {
	tb.Helper()
	b, err := os.ReadFile("testdata/oslo.json")
	if err != nil {
		tb.Fatal(err)
	}
	var cases []oslo
	if err := json.Unmarshal(b, &cases); err != nil {
		tb.Fatal(err)
	}
	return cases
}

func TestLikeOsloConfig(t *testing.T) {
	for _, c := range osloCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			want := c.Answers
			if c.Differs != "" {
				want = c.Ours
			}
			if diff := cmp.Diff(anyError(want), answer(t, c)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// anyError reduces an error of the library to the fact that there is one.
func anyError(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return "an error"
	case []any:
		for i := range v {
			v[i] = anyError(v[i])
		}
	}
	return v
}

// answer is our result for the case, in the form of its answers.
func answer(t *testing.T, c oslo) any {
	t.Helper()
	var env []string
	for name, value := range c.Env {
		env = append(env, name+"="+value)
	}
	s := osloconf.New(env)
	for i, text := range c.Files {
		if err := s.Add(fmt.Sprintf("%d.conf", i), text); err != nil {
			t.Log(err)
			return "an error"
		}
	}
	// The library knows the defaults of its registered options, and so must we.
	fallback := func(group, name string) (string, bool) {
		for _, d := range c.Defaults {
			if *d[0] == group && *d[1] == name && d[2] != nil {
				return *d[2], true
			}
		}
		for _, d := range c.Defaults {
			if *d[0] == group && *d[1] == name {
				return "", true
			}
		}
		for _, q := range c.Ask {
			if q.group == group && q.name == name {
				return "", true
			}
		}
		return "", false
	}
	answers := []any{}
	for _, q := range c.Ask {
		answers = append(answers, value(t, s, q, c, fallback))
	}
	return answers
}

func value(t *testing.T, s *osloconf.Settings, q question, c oslo, fallback func(group, name string) (string, bool)) any {
	t.Helper()
	values := s.All(q.group, q.name)
	if v, ok := s.Get(q.group, q.name); ok && !q.multi {
		values = []osloconf.Value{v}
	}
	if values == nil {
		for _, d := range c.Defaults {
			if *d[0] == q.group && *d[1] == q.name && d[2] != nil {
				values = []osloconf.Value{{Text: *d[2]}}
			}
		}
	}
	if values == nil {
		return nil
	}
	all := []any{}
	for _, v := range values {
		text, err := s.Expand(q.group, v, fallback)
		if err != nil {
			t.Log(err)
			return "an error"
		}
		all = append(all, text)
	}
	if q.multi {
		return all
	}
	return all[0]
}
