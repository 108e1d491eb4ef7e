package api

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestLocate(t *testing.T) {
	tests := []struct {
		path string
		want location
		ok   bool
	}{
		{"/", location{path: "/"}, true},
		{"", location{path: ""}, true},
		{"///", location{path: "/"}, true},
		{"/v3", location{path: "/v3"}, true},
		{"/v3/", location{path: "/v3/"}, true},
		{"/v3/ab-1/x", location{path: "/v3/x", project: "ab-1"}, true},
		{"/v3//x", location{path: "/v3/x"}, true},
		{"/v3/x", location{path: "/v3/x"}, true},
		{"/v3/ab/ab/x", location{path: "/v3/ab/x", project: "ab"}, true},
		{"/v3/x.json", location{path: "/v3/x", suffix: true}, true},
		{"/v3/clusters/.json", location{path: "/v3/clusters/.json"}, true},
		{"/x/", location{path: "/x/"}, true},
		{"/v3/ab", location{path: "/v3/ab"}, false},
		{"/v3/ab/", location{path: "/v3/ab/"}, false},
		{"/v3/x/", location{path: "/v3/x/"}, false},
		{"/v3/../x", location{path: "/v3/../x"}, false},
		{"/.", location{path: "/."}, false},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			got, ok := located(t, defaultProject).locate(tt.path)
			if ok != tt.ok || got != tt.want {
				t.Errorf("got %+v, %v, want %+v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

// located is the locator of the routes.
func located(tb testing.TB, regex string) locator {
	tb.Helper()
	at, err := newLocator(regex, routes())
	if err != nil {
		tb.Fatal(err)
	}
	return at
}

// A project may be called anything that the deployment says, but not as the API.
func TestLocateOtherProjects(t *testing.T) {
	tests := []struct {
		regex, path string
		want        location
		ok          bool
	}{
		{"[0-9a-zA-Z_-]+", "/v3/Acme_1/os-services", location{path: "/v3/os-services", project: "Acme_1"}, true},
		{"[0-9a-zA-Z_-]+", "/v3/os-services/enable", location{path: "/v3/os-services/enable"}, true},
		{"[0-9a-zA-Z_-]+", "/v3/clusters", location{path: "/v3/clusters"}, true},
		{"[^/]+", "/v3/os-services.json", location{path: "/v3/os-services", suffix: true}, true},
		{"[^/]+", "/v3/os-services/", location{path: "/v3/os-services/"}, false},
		{"[^/]+", "/v3/some one/clusters/detail.json", location{path: "/v3/clusters/detail", project: "some one", suffix: true}, true},
		{".*", "/v3/", location{path: "/v3/"}, true},
		{"a|b", "/v3/ab/os-services", location{path: "/v3/ab/os-services"}, true},
		{"a|b", "/v3/b/os-services", location{path: "/v3/os-services", project: "b"}, true},
		{"[0-9a-f]{32}", "/v3/ab/os-services", location{path: "/v3/ab/os-services"}, true},
	}
	for _, tt := range tests {
		t.Run(tt.regex+" "+tt.path, func(t *testing.T) {
			got, ok := located(t, tt.regex).locate(tt.path)
			if ok != tt.ok || got != tt.want {
				t.Errorf("got %+v, %v, want %+v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func FuzzLocate(f *testing.F) {
	at := located(f, defaultProject)
	for _, s := range []string{"/v3/ab/x", "//v3//x.json", "/v3/./x", "", "/v3/", "/v3/a//"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		l, ok := at.locate(path)
		if !ok {
			return
		}
		if strings.Contains(l.path, "//") || strings.Contains("/"+l.path+"/", "/../") || l.versioned() && l.path != "/v3/" && strings.HasSuffix(l.path, "/") {
			t.Errorf("%q: %+v is not clean", path, l)
		}
		if l.project != "" && !at.isProject(l.project) {
			t.Errorf("%q: %+v is no project", path, l)
		}
	})
}

func TestParseQuery(t *testing.T) {
	tests := []struct {
		raw  string
		keys []string
		want map[string]string
		bad  bool
	}{
		{raw: ""},
		{raw: "&&;"},
		{raw: "a=1&b=2", keys: []string{"a", "b"}, want: map[string]string{"a": "1", "b": "2"}},
		{raw: "a=1;b", keys: []string{"a", "b"}, want: map[string]string{"a": "1", "b": ""}},
		{raw: "b=1&a=2&b=3", keys: []string{"b", "a"}, want: map[string]string{"a": "2", "b": "3"}},
		{raw: "a+b=c+d%20e%2B", keys: []string{"a b"}, want: map[string]string{"a b": "c d e+"}},
		{raw: "a=%zz%4&=%C3%a9", keys: []string{"a", ""}, want: map[string]string{"a": "%zz%4", "": "é"}},
		{raw: "a==b", keys: []string{"a"}, want: map[string]string{"a": "=b"}},
		{raw: "a=%ff", bad: true},
		{raw: "%ff", bad: true},
		{raw: "a=%00", bad: true},
	}
	for _, tt := range tests {
		t.Run(tt.raw, func(t *testing.T) {
			got, err := parseQuery(tt.raw)
			if (err != nil) != tt.bad {
				t.Fatalf("got error %v, want one: %v", err, tt.bad)
			}
			if diff := cmp.Diff(tt.keys, got.keys); diff != "" {
				t.Errorf("keys: -want +got\n%s", diff)
			}
			if diff := cmp.Diff(tt.want, got.values); diff != "" {
				t.Errorf("values: -want +got\n%s", diff)
			}
		})
	}
}

func FuzzParseQuery(f *testing.F) {
	for _, s := range []string{"a=1&b=%C3%A9;c", "%", "%f", "a=%00", "=&=;+"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := parseQuery(raw)
		if err != nil {
			return
		}
		if len(q.keys) != len(q.values) {
			t.Errorf("%q: keys %q of values %q", raw, q.keys, q.values)
		}
		for k, v := range q.values {
			if !utf8.ValidString(k) || !utf8.ValidString(v) || strings.Contains(v, "\x00") {
				t.Errorf("%q: took %q = %q", raw, k, v)
			}
		}
	})
}
