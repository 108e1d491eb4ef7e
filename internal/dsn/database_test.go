package dsn_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stoker/internal/cinder"
	"stoker/internal/dsn"
)

// recorded is SQLAlchemy's result for a URL, recorded by testdata/database_urls.py.
type recorded struct {
	URL        string
	Refused    string
	Drivername string
	Username   string
	Password   string
	Host       string
	Port       int
	Database   string
	Query      map[string][]string
	Connect    struct{ Refused string }
}

func recordings(tb testing.TB) []recorded {
	tb.Helper()
	text, err := os.ReadFile("testdata/database_urls.json")
	if err != nil {
		tb.Fatal(err)
	}
	var all []recorded
	if err := json.Unmarshal(text, &all); err != nil {
		tb.Fatal(err)
	}
	return all
}

// stricter maps the URLs that SQLAlchemy accepts and we refuse to our errors.
func stricter() map[string]string {
	return map[string]string{
		"sqlite://":                                   "has to name a file",
		"sqlite:///":                                  "has to name a file",
		"sqlite:///:memory:":                          "has to name a file",
		"sqlite:///file:x?uri=true":                   "file: URIs are not supported",
		"mysql+pymysql://cinder:a@b@db/cinder":        "written %40",
		"mysql+pymysql://cinder:pw@[]/cinder":         "stands in brackets",
		"mysql+pymysql://cinder:pw@[::1]x/cinder":     "stands in brackets",
		"mysql+pymysql://cinder@db:3306/cinder?x=a@b": "names no database",
		"mysql+pymysql://cinder:pw@db":                "names no database",
		"mysql+pymysql://cinder:pw@db/":               "names no database",
		"mysql+pymysql://cinder:pw@db?charset=utf8":   "names no database",
		"mssql+pyodbc://cinder:secret@db/cinder":      `"mssql" is not supported`,
	}
}

// sameModule lists URLs that SQLAlchemy refuses because of the Python module in the
// driver's name, which we ignore.
func sameModule() []string {
	return []string{"mysql+py+mysql://cinder:pw@db/c", "mysql+://cinder:pw@db/c"}
}

func TestParseDatabaseReadsAsSQLAlchemy(t *testing.T) {
	strict := stricter()
	for _, r := range recordings(t) {
		t.Run(r.URL, func(t *testing.T) {
			got, err := dsn.ParseDatabase(r.URL)
			says, stricter := strict[r.URL]
			delete(strict, r.URL)
			refused := r.Refused != "" || r.Connect.Refused != "" && !strings.Contains(fmt.Sprint(sameModule()), r.URL)
			switch {
			case stricter && refused:
				t.Errorf("SQLAlchemy refuses it too")
			case stricter || refused:
				wantRefused(t, r.URL, err, says)
			case err != nil:
				t.Error(err)
			default:
				want := dsn.Database{
					Engine: got.Engine, User: r.Username, Password: r.Password, Host: r.Host, Port: r.Port, Name: r.Database, Options: r.Query,
				}
				if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("(-SQLAlchemy +ours):\n%s", diff)
				}
				engine, _, _ := strings.Cut(r.Drivername, "+")
				if got.Engine != dsn.Engine(strings.ReplaceAll(engine, "mariadb", "mysql")) {
					t.Errorf("engine %s, want %s", got.Engine, engine)
				}
			}
		})
	}
	for url := range strict {
		t.Errorf("%s is not among what was recorded", url)
	}
}

func wantRefused(tb testing.TB, url string, err error, says string) {
	tb.Helper()
	if err == nil {
		tb.Fatalf("%q is taken", url)
	}
	if got := cinder.KindOf(err); got != cinder.KindInvalid {
		tb.Errorf("kind %v, want %v", got, cinder.KindInvalid)
	}
	if !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "secret") {
		tb.Errorf("error %q: want one line that says %q and no secret", err, says)
	}
}

func TestParseDatabaseRefuses(t *testing.T) {
	for _, test := range []struct{ name, url, says string }{
		{"a file without its engine", "/var/lib/secret.db", "not a URL"},
		{"an old name of PostgreSQL", "postgres://cinder:secret@db/cinder", "write postgresql"},
		{"another engine", "oracle://cinder:secret@db/cinder", "use mysql, postgresql or sqlite"},
		{"a port of letters", "mysql://cinder:pw@db:secret/cinder", "the port"},
		{"a port with a sign", "mysql://cinder:pw@db:+3306/cinder", "the port"},
		{"a port too high", "mysql://cinder:pw@db:65536/cinder", "the port"},
		{"a password in sqlite", "sqlite://:secret@/x.db", "names no host"},
		{"NUL, written out", "mysql://cinder:secret%00@db/cinder", "NUL"},
		{"NUL in a path", "sqlite:////secret\x00.db", "NUL"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := dsn.ParseDatabase(test.url)
			wantRefused(t, test.url, err, test.says)
		})
	}
}

func TestDatabaseKeepsItsPassword(t *testing.T) {
	d, err := dsn.ParseDatabase("mysql+pymysql://cinder:secret@[::1]:3307/cinder?charset=utf8mb4&charset=utf8")
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%s", "%#v", "%q"} {
		if got := fmt.Sprintf(format, d); !strings.Contains(got, "mysql://[::1]:3307/cinder") || strings.Contains(got, "secret") {
			t.Errorf("%s prints %s", format, got)
		}
	}
	if got := d.Option("charset"); got != "utf8" {
		t.Errorf("charset %q, want the last", got)
	}
	if got := d.Option("x"); got != "" {
		t.Errorf("an option that was not given is %q", got)
	}
}

func FuzzParseDatabase(f *testing.F) {
	for _, r := range recordings(f) {
		f.Add(r.URL)
	}
	f.Fuzz(func(t *testing.T, url string) {
		d, err := dsn.ParseDatabase(url)
		if err != nil {
			if cinder.KindOf(err) != cinder.KindInvalid || d.String() != (dsn.Database{}).String() || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q: %v, %+v", url, err, d)
			}
			return
		}
		if d.Name == "" || d.Port < 0 || d.Port > 65535 || strings.ContainsAny(d.Host, "/?@") || strings.Contains(d.Name, "?") {
			t.Errorf("%q reads as %+v", url, d)
		}
		if d.Engine == dsn.SQLite {
			again, err := dsn.ParseDatabase("sqlite:///" + d.Name)
			if err != nil || again.Name != d.Name {
				t.Errorf("%q: the path %q reads as %+v, %v", url, d.Name, again, err)
			}
		}
	})
}

// TestFileURL checks that the URL of a path parses to that path, or that there is no
// URL.
func TestFileURL(t *testing.T) {
	for path, want := range map[string]string{
		"/var/lib/stoker.db": "sqlite:////var/lib/stoker.db",
		"stoker.db":          "sqlite:///stoker.db",
		"/a#b/c%3F d@e:f.db": "sqlite:////a#b/c%3F d@e:f.db",
		"/a?b/stoker.db":     "",
		"/a\x00b":            "",
		"file:stoker.db":     "",
		":memory:":           "",
		"":                   "",
	} {
		got, err := dsn.FileURL(path)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v; want %q", path, got, err, want)
		}
		if err != nil && (cinder.KindOf(err) != cinder.KindInvalid || !strings.Contains(err.Error(), strconv.Quote(path))) {
			t.Errorf("%q: %v", path, err)
		}
	}
}
