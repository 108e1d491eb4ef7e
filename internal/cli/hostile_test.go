package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stoker/internal/cli"
	"stoker/internal/cli/format"
	"stoker/internal/printable"
)

// hostile moves the cursor, turns text around, and hides.
const hostile = "\x1b[2J\u009b2J\u0085\x7f\u061c\u202e\u2066\u200b\u2028\ufeff\u3164\U000e0041\U000e01ef"

// poison puts hostile text at the end of every string of an answer but times,
// and of the names of what has names of its own.
func poison(v any) any {
	switch v := v.(type) {
	case string:
		if _, err := time.Parse("2006-01-02T15:04:05.000000", v); err == nil {
			return v
		}
		return v + hostile
	case []any:
		for i := range v {
			v[i] = poison(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = poison(v[k])
			if strings.HasPrefix(k, "stoker.") { // a logger's
				v[k+hostile] = v[k]
			}
		}
	}
	return v
}

func poisoned(t *testing.T, answer string) string {
	t.Helper()
	at := strings.IndexAny(answer, "{")
	if at < 0 {
		return answer
	}
	var v any
	if err := json.Unmarshal([]byte(answer[at:]), &v); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(poison(v)); err != nil {
		t.Fatal(err)
	}
	return answer[:at] + strings.TrimSpace(b.String())
}

// plain fails when a terminal would obey or hide anything of what was printed.
func plain(t *testing.T, what, printed string) {
	t.Helper()
	for line := range strings.SplitSeq(printed, "\n") {
		if i := strings.IndexFunc(line, printable.Hidden); i >= 0 {
			t.Errorf("%s prints a character that is obeyed or hidden, at %.20q of %q", what, line[i:], line)
			return
		}
	}
}

// Whatever a server says in whatever field, no command lets a terminal obey it or
// hide it; and programs read what the server said.
func TestNoCommandPrintsWhatATerminalObeys(t *testing.T) {
	forms := []string{format.FormTable, format.FormJSON, format.FormYAML}
	for _, c := range commandLines() {
		answers := map[string]string{}
		poisonous := false
		for what, answer := range c.answers {
			answers[what] = poisoned(t, answer)
			poisonous = poisonous || answers[what] != answer
		}
		args := slices.Clone(c.args)
		if i := slices.Index(args, "-o"); i >= 0 {
			args = slices.Delete(args, i, i+2)
		}
		for _, form := range forms {
			got := run(t, &fake{t: t, answers: answers}, cli.Deps{}, append(slices.Clone(args), "-o", form)...)
			what := fmt.Sprintf("stoker %s -o %s", strings.Join(args, " "), form)
			plain(t, what, got.stdout)
			plain(t, what+" (standard error)", got.stderr)
			if form == format.FormJSON && poisonous && strings.Contains(got.stdout, `\u202e`) && !strings.Contains(unquoted(t, got.stdout), hostile) {
				t.Errorf("%s: a program does not read what the server said:\n%s", what, got.stdout)
			}
		}
	}
}

// unquoted is every string of a JSON text, read.
func unquoted(t *testing.T, text string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(v)
}

func TestNoEventPrintsWhatATerminalObeys(t *testing.T) {
	var service map[string]any
	if err := json.Unmarshal([]byte(`{"at": "2026-11-23T11:56:57.000000", "binary": "cinder-volume", "host": "stor1@alpha", "zone": "nova", "cluster": "c", "state": "up", "status": "disabled",
		"disabled_reason": "disk swap", "frozen": true, "replication_status": "failed-over", "active_backend_id": "site-b", "removed": false, "changed": ["status", "frozen"]}`), &service); err != nil {
		t.Fatal(err)
	}
	raw := func(v any) string {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(b.String())
	}
	stream := "id: 1-aa\nevent: service\ndata: " + raw(poison(service)) + "\n\nid: 2-bb\nevent: operation\ndata: " + poisoned(t, strings.ReplaceAll(oneOperation, "\n", "")) + "\n\n" +
		"event: end\ndata: " + raw(poison(map[string]any{"code": 503, "message": "The process stops."})) + "\n\n"
	for _, form := range []string{format.FormTable, format.FormJSON, format.FormYAML} {
		t.Run(form, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var out, errs bytes.Buffer
				cli.Run(ctx, cli.Process{Args: words("event watch -o " + form), Stdout: &out, Stderr: &errs, Transport: &streams{end: cancel, streams: []string{stream}}}, cli.Deps{})
				if strings.Count(out.String(), "failover") == 0 || strings.Count(out.String(), "disk swap") == 0 || !strings.Contains(errs.String(), "The process stops.") {
					t.Errorf("not everything was printed:\n%s%s", out.String(), errs.String())
				}
				plain(t, "event watch", out.String()+errs.String())
			})
		})
	}
}
