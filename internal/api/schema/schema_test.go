package schema_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"stoker/internal/api/schema"
	"stoker/internal/cinder"
)

func compile(tb testing.TB) schema.Set {
	tb.Helper()
	set, err := schema.Compile()
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

// The texts are those of a Cinder 21.3.1, except where the case says why not.
func TestValidate(t *testing.T) {
	const field = "Invalid input for field/attribute "
	long := strings.Repeat("x", 256)
	tests := []struct {
		name, schema, body string
		want               string // "" when the body is valid
	}{
		{name: "plain", schema: "change-service", body: `{"host": "a@b", "binary": "x"}`},
		{name: "service in place of binary", schema: "change-service", body: `{"host": "a@b", "service": "x"}`},
		{name: "null host is left to the action", schema: "change-service", body: `{"host": null, "binary": "x"}`},
		{name: "every character of a host", schema: "change-service", body: `{"host": "aZ09-._#@:/+[]", "binary": "x"}`},
		{name: "host that ends with a newline", schema: "change-service", body: `{"host": "a\n", "binary": "x"}`},
		{name: "host with two newlines", schema: "change-service", body: `{"host": "a\n\n", "binary": "x"}`, want: field + "host. Value: a\n\n. 'a\\n\\n' does not match "},
		{name: "host as long as may be", schema: "change-service", body: `{"host": "` + long[1:] + `", "binary": "x"}`},
		{name: "host too long", schema: "change-service", body: `{"host": "` + long + `", "binary": "x"}`, want: field + "host. Value: " + long + ". '" + long + "' is too long"},
		{name: "empty host", schema: "change-service", body: `{"host": "", "binary": "x"}`, want: field + "host. Value: . '' is too short"},
		{name: "number for host", schema: "change-service", body: `{"host": 3, "binary": "x"}`, want: field + "host. Value: 3. 3 is not of type 'string', 'null'"},
		{name: "NaN for host", schema: "change-service", body: `{"host": NaN, "binary": "x"}`, want: field + "host. Value: nan. nan is not of type 'string', 'null'"},
		{name: "list for host", schema: "change-service", body: `{"host": [[], {}, [null]], "binary": "x"}`, want: field + "host. Value: [[], {}, [None]]. [[], {}, [None]] is not of type 'string', 'null'"},
		{name: "space in host", schema: "change-service", body: `{"host": "a b", "binary": "x"}`, want: field + "host. Value: a b. 'a b' does not match "},
		{name: "half a surrogate pair in host", schema: "change-service", body: `{"host": "\ud800", "binary": "x"}`, want: field + "host. Value: \xed\xa0\x80. '\\ud800' does not match "},
		{name: "null binary", schema: "change-service", body: `{"host": "a", "binary": null}`, want: field + "binary. Value: None. None is not of type 'string'"},
		{name: "first wrong field of several, as the schema lists them", schema: "change-service", body: `{"service": 3, "cluster": 3, "host": 3, "binary": 3, "zap": 1}`, want: field + "binary. Value: 3. 3 is not of type 'string'"},
		{name: "a wrong field before what is too much", schema: "change-service", body: `{"zap": 1, "service": true}`, want: field + "service. Value: True. True is not of type 'string'"},
		{name: "neither binary nor service", schema: "change-service", body: `{}`, want: "{} is not valid under any of the given schemas"},
		{name: "what is missing before what is too much", schema: "change-service", body: `{"": 1}`, want: "{'': 1} is not valid under any of the given schemas"},
		{name: "one too much", schema: "change-service", body: `{"binary": "x", "\u0000": 1}`, want: "Additional properties are not allowed ('\\x00' was unexpected)"},
		{name: "two too much", schema: "change-service", body: `{"zb": 1, "za": 2, "binary": "x"}`, want: "Additional properties are not allowed ('za', 'zb' were unexpected)"},
		{name: "no object", schema: "change-service", body: `"x"`, want: "'x' is not of type 'object'"},
		{name: "null", schema: "change-service", body: `null`, want: "None is not of type 'object'"},
		{name: "NaN", schema: "change-service", body: `NaN`, want: "nan is not of type 'object'"},
		{name: "long body is cut", schema: "change-service", body: `"` + strings.Repeat("é", 5000) + `"`, want: "'éééé"},

		{name: "reason", schema: "disable-log-reason", body: `{"binary": "x", "disabled_reason": " it's so\u200b "}`},
		{name: "reason of zero width", schema: "disable-log-reason", body: `{"binary": "x", "disabled_reason": "\u200b"}`},
		{name: "reason as long as may be", schema: "disable-log-reason", body: `{"binary": "x", "disabled_reason": "` + strings.Repeat("é", 255) + `"}`},
		{name: "reason too long", schema: "disable-log-reason", body: `{"binary": "x", "disabled_reason": "` + long + `"}`, want: field + "disabled_reason. Value: " + long + ". '" + long + "' is too long"},
		{name: "empty reason", schema: "disable-log-reason", body: `{"binary": "x", "disabled_reason": ""}`, want: field + "disabled_reason. Value: . '' is too short"},
		{name: "null reason", schema: "disable-log-reason", body: `{"binary": "x", "disabled_reason": null}`, want: field + "disabled_reason. Value: None. None is not of type 'string'"},
		{name: "reason of spaces", schema: "disable-log-reason", body: `{"binary": "x", "disabled_reason": "\u00a0\u001f\n"}`, want: field + "disabled_reason. Value: \u00a0\x1f\n. '\\xa0\\x1f\\n' is not a 'disabled_reason'"},
		{name: "U+0000, which Cinder stores where it can", schema: "disable-log-reason", body: `{"binary": "x", "disabled_reason": "a\u0000b"}`, want: field + "disabled_reason. Value: a\x00b. 'a\\x00b' contains U+0000"},
		{name: "half a surrogate pair, which no database stores", schema: "disable-log-reason", body: `{"binary": "x", "disabled_reason": "a\udc00"}`, want: field + "disabled_reason. Value: a\xed\xb0\x80. 'a\\udc00' contains half a surrogate pair"},

		{name: "freeze nothing is left to the action", schema: "freeze-thaw", body: `{}`},
		{name: "freeze with a binary", schema: "freeze-thaw", body: `{"host": "a", "binary": "x"}`, want: "Additional properties are not allowed ('binary' was unexpected)"},
		{name: "failover to a long target", schema: "failover", body: `{"host": "a", "backend_id": "` + long + `"}`, want: field + "backend_id. Value: " + long},
		{name: "failover host before target before cluster", schema: "failover", body: `{"cluster": 3, "backend_id": false}`, want: field + "backend_id. Value: False. False is not of type 'string', 'null'"},
		{name: "U+0000 in a target", schema: "failover", body: `{"backend_id": "\u0000"}`, want: field + "backend_id. Value: \x00. '\\x00' contains U+0000"},

		{name: "get-log of all", schema: "get-log", body: `{"binary": "*", "server": null, "prefix": ""}`},
		{name: "get-log of an unknown binary", schema: "get-log", body: `{"binary": "zap"}`, want: field + "binary. Value: zap. 'zap' is not one of ['cinder-scheduler', 'cinder-volume', 'cinder-backup', 'cinder-api', '', '*']"},
		{name: "set-log", schema: "set-log", body: `{"level": "dEbug"}`},
		{name: "set-log without a level is left to the action", schema: "set-log", body: `{}`},
		{name: "set-log to null", schema: "set-log", body: `{"level": null}`, want: "Invalid input received:  is not a valid log level."},
		{name: "set-log to an unknown level, before what is too much", schema: "set-log", body: `{"level": "WARN", "zap": 1}`, want: "Invalid input received: WARN is not a valid log level."},
		{name: "set-log to a number", schema: "set-log", body: `{"level": 10}`, want: field + "level. Value: 10. 10 is not of type 'string', 'null'"},

		{name: "cluster", schema: "enable-cluster", body: `{"name": "a b\u200b"}`},
		{name: "cluster without a name", schema: "enable-cluster", body: `{"zap": 1}`, want: "'name' is a required property"},
		{name: "cluster named with nothing", schema: "enable-cluster", body: `{"name": ""}`, want: field + "name. Value: . '' is too short"},
		{name: "cluster named with spaces", schema: "enable-cluster", body: `{"name": "\u2028 "}`, want: "An invalid 'name' value was provided. The 'name' can not be empty."},
		{name: "reason to enable", schema: "enable-cluster", body: `{"name": "a", "disabled_reason": null}`, want: "Additional properties are not allowed ('disabled_reason' was unexpected)"},
		{name: "empty reason of a cluster", schema: "disable-cluster", body: `{"name": "a", "disabled_reason": ""}`},
		{name: "padded reason of a cluster", schema: "disable-cluster", body: `{"name": "a", "disabled_reason": "  ` + long[1:] + ` "}`},
		{name: "long reason of a cluster", schema: "disable-cluster", body: `{"name": "a", "disabled_reason": "` + long + `"}`, want: field + "disabled_reason. Value: " + long + ". '" + long + "' is not a 'disabled_reason'"},
		{name: "blank reason of a cluster", schema: "disable-cluster", body: `{"name": "a", "disabled_reason": " "}`, want: field + "disabled_reason. Value:  . ' ' is not a 'disabled_reason'"},
	}
	set := compile(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body, err := schema.Decode([]byte(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			err = set[tt.schema].Validate(body)
			if tt.want == "" {
				if err != nil {
					t.Errorf("got %v, want no error", err)
				}
				return
			}
			if got := cinder.Message(err); !strings.HasPrefix(got, tt.want) || cinder.KindOf(err) != cinder.KindInvalid {
				t.Errorf("got %v %q, want %v %q", cinder.KindOf(err), got, cinder.KindInvalid, tt.want)
			}
			if n := len(cinder.Message(err)); n > 5000 {
				t.Errorf("a message of %d bytes", n)
			}
		})
	}
}

func TestTrim(t *testing.T) {
	if got, want := schema.Trim("\x1c\u2003 x y\u00a0\r\n"), "x y"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Whatever the body, each schema either takes it or says why not in words for
// the caller; and what it takes holds only text that any database keeps.
func FuzzValidate(f *testing.F) {
	for _, s := range []string{`{"host": "a", "binary": "cinder-volume"}`, `{"name": "a", "disabled_reason": " x "}`, `{"level": "info", "prefix": null}`, `[1, {"a": NaN}]`, `{"host": "\ud800\u0000"}`, `{"cluster": "\u0000"}`} {
		f.Add([]byte(s))
	}
	set := compile(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		body, err := schema.Decode(text)
		if err != nil {
			return
		}
		for name, s := range set {
			if err := s.Validate(body); err != nil {
				if cinder.KindOf(err) != cinder.KindInvalid || cinder.Message(err) == "" {
					t.Errorf("%s: %v", name, err)
				}
				continue
			}
			for k, v := range body.(map[string]any) {
				if s, ok := v.(string); ok && (strings.Contains(s, "\x00") || !utf8.ValidString(s)) {
					t.Errorf("%s: took %q for %s", name, s, k)
				}
			}
		}
	})
}
