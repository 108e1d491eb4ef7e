package printable_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"stoker/internal/printable"
)

func TestHidden(t *testing.T) {
	for name, r := range map[string]rune{
		"NUL": 0, "ESC": 0x1b, "DEL": 0x7f, "CSI": 0x9b, "NEL": 0x85, "soft hyphen": 0xad, "joiner of graphemes": 0x34f, "Arabic mark": 0x61c,
		"Hangul filler": 0x3164, "zero width space": 0x200b, "right-to-left mark": 0x200f, "right-to-left override": 0x202e, "isolate": 0x2066, "line separator": 0x2028,
		"variation selector": 0xfe0f, "byte order mark": 0xfeff, "annotation": 0xfff9, "tag": 0xe0041, "selector 256": 0xe01ef,
		"private": 0xe000, "unassigned": 0x10ffff, "musical": 0x1d173,
	} {
		if !printable.Hidden(r) {
			t.Errorf("%s (%U) is not hidden", name, r)
		}
	}
	for _, r := range "aZ09 ~é日本語אבגعربيही한글😀\u00a0\u3000\u0301\ufffd" {
		if printable.Hidden(r) {
			t.Errorf("%q (%U) is hidden", r, r)
		}
	}
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"disk swap":                   "disk swap",
		"a\tb\nc\r\n":                 "a b c  ",
		"\x1b[31mred":                 `\x1b[31mred`,
		"\u009b2J\x9b2J":              `\x9b2J\x9b2J`,
		"txt.\u202egpj":               `txt.\u202egpj`,
		"ok\U000e0041\U000e007f":      `ok\U000e0041\U000e007f`,
		"日本 \u2028 \ufffd":            "日本 \\u2028 \ufffd",
		"\xf0\x9f half of a picture":  `\xf0\x9f half of a picture`,
		"who\u3164 is\u200b\ufeff it": `who\u3164 is\u200b\ufeff it`,
	} {
		if got := printable.Text(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got, want := printable.Lines("a\x1b\n\tb\n"), "a\\x1b\n b\n"; got != want {
		t.Errorf("lines: %q, want %q", got, want)
	}
}

// FuzzEscapes checks that text written as JSON and as YAML has no hidden characters,
// and reads back unchanged.
func FuzzEscapes(f *testing.F) {
	f.Add("\x00\x1b\x7f\u0085\u009b\u202e\u2028\ufeff\U000e0041\U000e01ef\U0010ffff\u3164")
	f.Add("a \"b\" \\c \n\t")
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "?")
		asJSON, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		asYAML, err := yaml.Marshal(&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Style: yaml.DoubleQuotedStyle})
		if err != nil {
			t.Fatal(err)
		}
		check := func(form string, b []byte, back string, err error) {
			t.Helper()
			if err != nil || back != s {
				t.Errorf("%s %q is %q, %v; want %q", form, b, back, err, s)
			}
			if i := strings.IndexFunc(strings.TrimSuffix(string(b), "\n"), printable.Hidden); i >= 0 {
				r, _ := utf8.DecodeRune(b[i:])
				t.Errorf("%s %q still has %U", form, b, r)
			}
		}
		var back string
		b := printable.JSON(asJSON)
		err = json.Unmarshal(b, &back)
		check("JSON", b, back, err)
		back = ""
		b = printable.Quoted(asYAML)
		err = yaml.Unmarshal(b, &back)
		check("YAML", b, back, err)
		if i := strings.IndexFunc(printable.Text(s), func(r rune) bool { return printable.Hidden(r) || unicode.IsControl(r) }); i >= 0 {
			t.Errorf("text %q still hides something", printable.Text(s))
		}
	})
}
