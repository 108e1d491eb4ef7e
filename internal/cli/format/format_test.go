package format_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"stoker/internal/cli/format"
)

// testdata/prettytable.json is how the Python library draws tables.
func TestTablesAreDrawnAsByPrettytable(t *testing.T) {
	b, err := os.ReadFile("testdata/prettytable.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name   string
		Header []string
		Rows   [][]string
		Right  []int
		Drawn  string
	}
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			var got strings.Builder
			if err := format.Write(&got, format.FormTable, nil, format.Table{Header: c.Header, Rows: c.Rows, Right: c.Right}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.Drawn, got.String()); diff != "" {
				t.Errorf("(-prettytable +got):\n%s", diff)
			}
		})
	}
}

// Nothing in a cell moves the cursor or hides, and the borders stay where they are.
func TestControlCharacters(t *testing.T) {
	var got strings.Builder
	rows := [][]string{{"\x1b[31mred\x1b[0m"}, {"a\tb"}, {"a\r\nb\rc"}, {"\x9b2J\u009b2J"}, {"\x00\x7f"}, {"txt.\u202egpj"}, {"ok\U000e0041"}}
	if err := format.Write(&got, format.FormTable, nil, format.Table{Header: []string{"A"}, Rows: rows}); err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(`+--------------------+
| A                  |
+--------------------+
| ~x1b[31mred~x1b[0m |
| a b                |
| a                  |
| b c                |
| ~x9b2J~x9b2J       |
| ~x00~x7f           |
| txt.~u202egpj      |
| ok~U000e0041       |
+--------------------+
`, "~", `\`)
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRecord(t *testing.T) {
	r := format.Record{
		{Name: "z", Value: "first"},
		{Name: "none", Value: nil},
		{Name: "a", Value: 3},
		{Name: "text", Value: new("x")},
		{Name: "no text", Value: (*string)(nil)},
		{Name: "yes", Value: new(true)},
		{Name: "number", Value: new(-1)},
		{Name: "<&>", Value: "<&>"},
	}
	tests := []struct{ form, want string }{
		{format.FormTable, `+---------+-------+
| Field   | Value |
+---------+-------+
| z       | first |
| none    | -     |
| a       | 3     |
| text    | x     |
| no text | -     |
| yes     | true  |
| number  | -1    |
| <&>     | <&>   |
+---------+-------+
`},
		{format.FormJSON, "{\n  \"z\": \"first\",\n  \"none\": null,\n  \"a\": 3,\n  \"text\": \"x\",\n  \"no text\": null,\n  \"yes\": true,\n  \"number\": -1,\n  \"<&>\": \"<&>\"\n}\n"},
		{format.FormYAML, "z: first\nnone: null\na: 3\ntext: x\nno text: null\n\"yes\": true\nnumber: -1\n\"<&>\": \"<&>\"\n"},
	}
	for _, tt := range tests {
		t.Run(tt.form, func(t *testing.T) {
			var got strings.Builder
			if err := format.Write(&got, tt.form, r, r.Table()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Text that YAML would take for something else, by today's rules or by those of
// version 1.1, which Python has, is quoted.
func TestYAMLKeepsText(t *testing.T) {
	for text, want := range map[string]string{
		"on": `"on"`, "No": `"No"`, "y": `"y"`, "null": `"null"`, "~": `"~"`, "true": `"true"`, "1": `"1"`, "1.5": `"1.5"`, "0x10": `"0x10"`,
		"12:30:45": `"12:30:45"`, "2026-11-23": `"2026-11-23"`, "2026-11-23T11:56:57.000000": `"2026-11-23T11:56:57.000000"`, "": `""`,
		"- x": `"- x"`, "a: b": `"a: b"`, "x # c": `"x # c"`, " x": `" x"`, "x ": `"x "`, "@a": `"@a"`, "a\x7fb": `"a\x7Fb"`, "\n\t": `"\n\t"`, ".nan": `".nan"`,
		"host@a": "host@a", "disk swap": "disk swap", "日本": "日本", "stoker.backend": "stoker.backend", "site-b": "site-b",
	} {
		var got strings.Builder
		if err := format.Write(&got, format.FormYAML, []string{text}, format.Table{}); err != nil {
			t.Fatal(err)
		}
		if got.String() != "- "+want+"\n" {
			t.Errorf("%q: got %swant - %s", text, got.String(), want)
		}
	}
}

// FuzzYAML writes any text as YAML: read again, it is what JSON makes of it.
func FuzzYAML(f *testing.F) {
	f.Add("x\ny", "on")
	f.Add("\u0085", "\ufeff")
	f.Add("k", "\n\t")
	f.Fuzz(func(t *testing.T, key, value string) {
		v := map[string][]string{key: {value}}
		asJSON, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var want, got map[string][]string
		if err := json.Unmarshal(asJSON, &want); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := format.Write(&out, format.FormYAML, v, format.Table{}); err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal([]byte(out.String()), &got); err != nil {
			t.Fatalf("%v in\n%s", err, out.String())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s\nfrom\n%s", diff, out.String())
		}
	})
}

// JSON and YAML escape what a terminal would obey or hide, and mean the same.
func TestFormsEscapeWhatIsHidden(t *testing.T) {
	text := []string{"\u009b2J", "a\u202eb", "\U000e0041", "\u3164"}
	for form, want := range map[string]string{
		format.FormJSON: "[\n  \"~u009b2J\",\n  \"a~u202eb\",\n  \"~udb40~udc41\",\n  \"~u3164\"\n]\n",
		format.FormYAML: "- \"~x9B2J\"\n- \"a~u202eb\"\n- \"~U000E0041\"\n- \"~u3164\"\n",
	} {
		var got strings.Builder
		if err := format.Write(&got, form, text, format.Table{}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.ReplaceAll(want, "~", `\`), got.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", form, diff)
		}
	}
}

type unwritable struct{}

func (unwritable) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestErrors(t *testing.T) {
	for _, form := range []string{format.FormTable, format.FormJSON, format.FormYAML, "xml"} {
		if err := format.Write(unwritable{}, form, 1, format.Table{Header: []string{"A"}}); err == nil {
			t.Errorf("%s: no error", form)
		}
	}
	var b strings.Builder
	for _, v := range []any{func() {}, format.Record{{Name: "x", Value: func() {}}}} {
		for _, form := range []string{format.FormJSON, format.FormYAML} {
			if err := format.Write(&b, form, v, format.Table{}); err == nil {
				t.Errorf("%s of what JSON cannot say: no error", form)
			}
		}
	}
}
