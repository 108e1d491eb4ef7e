package oslo_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
)

// versioned is a versioned object as JSON.
func versioned(name, namespace, version, data string) string {
	return `{"versioned_object.name": "` + name + `", "versioned_object.namespace": "` + namespace +
		`", "versioned_object.version": "` + version + `", "versioned_object.data": ` + data + `}`
}

func TestDecodeLogLevel(t *testing.T) {
	const data = `{"prefix": "cinder", "level": "debug"}`
	for _, tc := range []struct {
		name, text string
		want       oslo.LogLevel
		class      string // of the exception that a service answers with; "" for none
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

// TestCleanupRequest has Cinder's own text.
func TestCleanupRequest(t *testing.T) {
	recorded := versioned("CleanupRequest", "cinder", "1.0", `{"service_id": null, "cluster_name": null, "host": null, `+
		`"binary": "cinder-volume", "is_up": false, "disabled": null, "resource_id": null, "resource_type": null, "until": "2026-11-24T20:59:01Z"}`)
	want := oslo.CleanupRequest{Binary: new("cinder-volume"), IsUp: new(false), Until: time.Date(2026, 11, 24, 20, 59, 1, 0, time.UTC)}
	full := oslo.CleanupRequest{
		ServiceID: new(int64(3)), Cluster: new("mycl@alpha"), Host: new("host1@alpha"), Binary: new("cinder-volume"), IsUp: new(true), Disabled: new(false),
		ResourceID: "1b4e28ba-2fa1-11d2-883f-0016d3cca427", ResourceType: cinder.ResourceVolume, Until: want.Until,
	}
	var got oslo.CleanupRequest
	if err := json.Unmarshal([]byte(recorded), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the request (-want +got):\n%s", diff)
	}
	for _, r := range []oslo.CleanupRequest{want, full, {}} {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var again oslo.CleanupRequest
		if err := json.Unmarshal(text, &again); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, again); diff != "" {
			t.Errorf("the request, written and read (-want +got):\n%s", diff)
		}
	}
	for name, text := range map[string]string{
		"a newer one":   strings.Replace(recorded, `"1.0"`, `"1.1"`, 1),
		"another":       strings.Replace(recorded, "CleanupRequest", "Volume", 1),
		"no time":       strings.Replace(recorded, "2026-11-24T20:59:01Z", "today", 1),
		"a number":      strings.Replace(recorded, `"cinder-volume"`, `7`, 1),
		"a plain value": `{"binary": "cinder-volume"}`,
	} {
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s was read", name)
		}
	}
}
