package schema_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"stoker/internal/api/schema"
)

func TestDecode(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	tests := []struct {
		name, text string
		want       any
		bad        bool
	}{
		{name: "object", text: ` {"a" : [1, -0.5e+3, true, false, null, "x"] , "b":{}}` + "\r\n\t", want: map[string]any{
			"a": []any{json.Number("1"), json.Number("-0.5e+3"), true, false, nil, "x"}, "b": map[string]any{},
		}},
		{name: "last of two keys", text: `{"a": {"x": 1}, "a": {"y": 2}}`, want: map[string]any{"a": map[string]any{"y": json.Number("2")}}},
		{name: "escaped key", text: `{"\u0061": 1}`, want: map[string]any{"a": json.Number("1")}},
		{name: "not a number", text: `[NaN, Infinity, -Infinity]`, want: []any{json.Number("NaN"), json.Number("Infinity"), json.Number("-Infinity")}},
		{name: "escapes", text: `"\"\\\/\b\f\n\r\t\u00e9\ud83d\udd25é"`, want: "\"\\/\b\f\n\r\té🔥é"},
		{name: "halves of surrogate pairs", text: `"\udd25\ud83d\ud83d\u0041\ud83d"`, want: "\xed\xb4\xa5\xed\xa0\xbd\xed\xa0\xbdA\xed\xa0\xbd"},
		{name: "delete is no control character here", text: "\"\x7f\"", want: "\x7f"},
		{name: "deep", text: deep(64), want: func() any {
			v := []any{}
			for range 63 {
				v = []any{v}
			}
			return v
		}()},
		{name: "too deep", text: deep(100000), bad: true},
		{name: "nothing", text: "", bad: true},
		{name: "space", text: "  ", bad: true},
		{name: "open object", text: `{`, bad: true},
		{name: "open array", text: `[1`, bad: true},
		{name: "open string", text: `"a`, bad: true},
		{name: "open escape", text: `"a\`, bad: true},
		{name: "short escape", text: `"\u12"`, bad: true},
		{name: "signed escape", text: `"\u+123"`, bad: true},
		{name: "unknown escape", text: `"\x41"`, bad: true},
		{name: "control character", text: "\"a\tb\"", bad: true},
		{name: "control character after an escape", text: "\"\\na\tb\"", bad: true},
		{name: "trailing text", text: `{} x`, bad: true},
		{name: "trailing comma", text: `{"a":1,}`, bad: true},
		{name: "comma alone", text: `[,]`, bad: true},
		{name: "no comma", text: `[1 2]`, bad: true},
		{name: "no colon", text: `{"a" 1}`, bad: true},
		{name: "no value", text: `{"a":}`, bad: true},
		{name: "key that is no string", text: `{1:2}`, bad: true},
		{name: "bad key", text: `{"\x":2}`, bad: true},
		{name: "single quotes", text: `{'a':1}`, bad: true},
		{name: "comment", text: `{/**/}`, bad: true},
		{name: "leading zero", text: `01`, bad: true},
		{name: "plus", text: `+1`, bad: true},
		{name: "no digit before the point", text: `.5`, bad: true},
		{name: "no digit after the point", text: `1.`, bad: true},
		{name: "no digit in the exponent", text: `1e`, bad: true},
		{name: "minus NaN", text: `-NaN`, bad: true},
		{name: "minus alone", text: `-`, bad: true},
		{name: "word", text: `tru`, bad: true},
		{name: "vertical tab", text: "\v{}", bad: true},
		{name: "byte order mark", text: "\ufeff{}", bad: true},
		{name: "bytes that are no text", text: "\"\xff\"", bad: true},
		{name: "encoded surrogate", text: "\"\xed\xa0\x80\"", bad: true},
		{name: "sixteen bits", text: "{\x00}\x00", bad: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := schema.Decode([]byte(tt.text))
			if (err != nil) != tt.bad {
				t.Fatalf("got error %v, want one: %v", err, tt.bad)
			}
			// Not cmp.Diff, which takes ages for what is nested deeply.
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %#v, want %#v", got, tt.want)
			}
		})
	}
}

func TestQuote(t *testing.T) {
	tests := []struct{ text, want string }{
		{`null`, `None`},
		{`[true, false]`, `[True, False]`},
		{`{"b": "x", "a": {}}`, `{'a': {}, 'b': 'x'}`},
		{`[0, -0, -0.0, 1.0, 1.5e3, 123456789012345678901234567890]`, `[0, 0, -0.0, 1.0, 1500.0, 123456789012345678901234567890]`},
		{`[1e15, 1e16, 1e22, 1e-4, 1e-7, 0.1, 0e5]`, `[1000000000000000.0, 1e+16, 1e+22, 0.0001, 1e-07, 0.1, 0.0]`},
		{`[1e999, -1e999, NaN, Infinity, -Infinity]`, `[inf, -inf, nan, inf, -inf]`},
		{`["it's", "\"", "it's \"", "\\"]`, `["it's", '"', 'it\'s "', '\\']`},
		{`"\n\r\t\u0000\u007f\u00a0\u00e9\u2028\ud83d\udd25\u200b"`, `'\n\r\t\x00\x7f\xa0é\u2028🔥\u200b'`},
		{`"\ud800\udbff\udc00"`, `'\ud800\U0010fc00'`},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			v, err := schema.Decode([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if got := schema.Quote(v); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// Decode agrees with encoding/json wherever the two mean to: text in UTF-8 that
// is not too deep, without half surrogate pairs.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"a": [1, -0.5e+3, true, null, "\u00e9\ud83d\udd25"]}`, `{"a":1,"a":2}`, `[NaN]`, `"\ud800"`, `{`, "\"\xff\"", "01", `"\`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := schema.Decode(text)
		_ = schema.Quote(got)
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		var want any
		wantErr := d.Decode(&want)
		if wantErr == nil && d.More() {
			wantErr = schema.ErrMalformed
		}
		if !json.Valid(text) {
			wantErr = schema.ErrMalformed
		}
		switch {
		case err != nil && wantErr == nil:
			if utf8.Valid(text) && bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) <= 64 {
				t.Errorf("%q: got %v, want %v", text, err, want)
			}
		case err == nil && wantErr != nil:
			if !bytes.Contains(text, []byte("NaN")) && !bytes.Contains(text, []byte("Infinity")) {
				t.Errorf("%q: got %v, want %v", text, got, wantErr)
			}
		case err == nil && !bytes.Contains(bytes.ToLower(text), []byte(`\ud`)):
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%q: got %#v, want %#v", text, got, want)
			}
		}
	})
}
