package store

import (
	"strings"
	"testing"

	"stoker/internal/cinder"
)

func TestParseURL(t *testing.T) {
	for _, test := range []struct {
		name, url, path string
	}{
		{"absolute", "sqlite:////var/lib/stoker/stoker.db", "/var/lib/stoker/stoker.db"},
		{"relative", "sqlite:///stoker.db", "stoker.db"},
		{"relative, in a folder", "sqlite:///a/b.db", "a/b.db"},
		{"with a driver", "sqlite+pysqlite:////x.db", "/x.db"},
		{"with options", "sqlite:////x.db?timeout=5&x=%2F", "/x.db"},
		{"with empty options", "sqlite:////x.db?", "/x.db"},
		{"nothing is decoded", "sqlite:////a%20b#c.db", "/a%20b#c.db"},
		{"spaces and letters", "sqlite:////ä b/ü.db", "/ä b/ü.db"},
		{"another URL inside", "sqlite:///a://b", "a://b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseURL(test.url)
			if err != nil {
				t.Fatal(err)
			}
			if want := (target{engine: "sqlite", path: test.path}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestParseURLRefuses(t *testing.T) {
	for _, test := range []struct {
		name, url, says string
	}{
		{"nothing", "", "not a URL"},
		{"a path", "/var/lib/stoker.db", "not a URL"},
		{"no engine", "://x", `"" is not supported`},
		{"MySQL", "mysql+pymysql://cinder:secret@db/cinder?charset=utf8", `"mysql" is not supported: use sqlite`},
		{"PostgreSQL", "postgresql://cinder:secret@db/cinder", `"postgresql" is not supported`},
		{"capital letters", "SQLite:////x.db", `"SQLite" is not supported`},
		{"two slashes", "sqlite://secret/x.db", "names no host"},
		{"no slashes", "sqlite://x.db", "names no host"},
		{"in memory", "sqlite://", "has to name a file"},
		{"in memory, empty path", "sqlite:///", "has to name a file"},
		{"in memory, by name", "sqlite:///:memory:", "in memory are not supported"},
		{"in memory, with options", "sqlite:///?cache=secret", "has to name a file"},
		{"a URI inside", "sqlite:///file:secret?uri=true", "file: URIs are not supported"},
		{"NUL", "sqlite:////x\x00.db", "NUL"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := parseURL(test.url)
			if got, want := cinder.KindOf(err), cinder.KindInvalid; err == nil || got != want {
				t.Fatalf("error %v of kind %v, want %v", err, got, want)
			}
			if !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %q does not say %q", err, test.says)
			}
			if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q repeats the URL or has several lines", err)
			}
		})
	}
}

func FuzzParseURL(f *testing.F) {
	for _, seed := range []string{"", "sqlite:////x.db", "sqlite:///x?y", "sqlite+a+b:///c", "mysql://u:p@h/d", "sqlite://", "sqlite:///file:x", "a://b://c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, url string) {
		got, err := parseURL(url)
		if err != nil {
			if cinder.KindOf(err) != cinder.KindInvalid || got != (target{}) {
				t.Errorf("%q: %v, %+v", url, err, got)
			}
			return
		}
		if got.path == "" || strings.ContainsAny(got.path, "?\x00") {
			t.Errorf("%q: path %q", url, got.path)
		}
		again, err := parseURL("sqlite:///" + got.path)
		if err != nil || again != got {
			t.Errorf("%q: the path %q reads as %+v, %v", url, got.path, again, err)
		}
	})
}
