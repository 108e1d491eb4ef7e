package oslo_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
)

// versioned is a versioned object as text.
func versioned(name, namespace, version, data string) string {
	return `{"versioned_object.name": "` + name + `", "versioned_object.namespace": "` + namespace +
		`", "versioned_object.version": "` + version + `", "versioned_object.data": ` + data + `}`
}

func TestDecodeLogLevel(t *testing.T) {
	const data = `{"prefix": "cinder", "level": "debug"}`
	for _, tc := range []struct {
		name, text string
		want       oslo.LogLevel
		class      string // of the exception that a service answers with; "" when it is fine
	}{
		{"as it is", versioned("LogLevel", "cinder", "1.0", data), oslo.LogLevel{Prefix: "cinder", Level: "debug"}, ""},
		{"nulls", versioned("LogLevel", "cinder", "1.0", `{"prefix": null, "level": null}`), oslo.LogLevel{}, ""},
		{"without a level", versioned("LogLevel", "cinder", "1.0", `{"prefix": "x"}`), oslo.LogLevel{Prefix: "x"}, ""},
		{"a newer one", versioned("LogLevel", "cinder", "1.1", data), oslo.LogLevel{}, "IncompatibleObjectVersion"},
		{"another namespace", versioned("LogLevel", "nova", "1.0", data), oslo.LogLevel{}, "UnsupportedObjectError"},
		{"another object", versioned("Volume", "cinder", "1.0", data), oslo.LogLevel{}, "UnsupportedObjectError"},
		{"no data", versioned("LogLevel", "cinder", "1.0", "null"), oslo.LogLevel{}, "UnsupportedObjectError"},
		{"a plain object", data, oslo.LogLevel{}, "UnsupportedObjectError"},
		{"a number for a prefix", versioned("LogLevel", "cinder", "1.0", `{"prefix": 1}`), oslo.LogLevel{}, "CinderException"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got oslo.LogLevel
			err := json.Unmarshal([]byte(tc.text), &got)
			class := ""
			if err != nil {
				class = oslo.FailureOf(err).Class
			}
			if class != tc.class {
				t.Errorf("got error %v, of class %q; want %q", err, class, tc.class)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("the level (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeLogLevels(t *testing.T) {
	item := versioned("LogLevel", "cinder", "1.0", `{"prefix": "a", "level": "INFO"}`)
	list := func(items ...string) string {
		return versioned("LogLevelList", "cinder", "1.0", `{"objects": [`+strings.Join(items, ",")+`]}`)
	}
	for _, tc := range []struct {
		name, text string
		want       oslo.LogLevels // nil: an error
	}{
		{"as it is", list(item), oslo.LogLevels{"a": cinder.LogInfo}},
		{"empty", list(), oslo.LogLevels{}},
		{"a level that only others have", list(versioned("LogLevel", "cinder", "1.0", `{"prefix": "a", "level": "CRITICAL"}`)), oslo.LogLevels{"a": "CRITICAL"}},
		{"a newer one", strings.Replace(list(item), "1.0", "1.1", 1), nil},
		{"a newer item", strings.Replace(list(item), `LogLevel", "versioned_object.namespace": "cinder", "versioned_object.version": "1.0`, `LogLevel", "versioned_object.namespace": "cinder", "versioned_object.version": "2.0`, 1), nil},
		{"an item where a list should be", item, nil},
		{"a plain list", `[` + item + `]`, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got oslo.LogLevels
			if err := json.Unmarshal([]byte(tc.text), &got); (err != nil) != (tc.want == nil) {
				t.Fatalf("got error %v", err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("the levels (-want +got):\n%s", diff)
			}
		})
	}
}
