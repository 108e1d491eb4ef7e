package dsn_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stoker/internal/dsn"
)

// reading is the result of oslo.messaging and kombu for a URL; see
// testdata/record_transport.py.
type reading struct {
	URL     string `json:"url"`
	Error   string `json:"error"`
	Brokers []struct {
		Host        string `json:"host"`
		Port        int    `json:"port"`
		User        string `json:"user"`
		Password    string `json:"password"`
		VirtualHost string `json:"virtual_host"`
	} `json:"brokers"`
	Query map[string]string `json:"query"`
}

func readings(tb testing.TB) []reading {
	tb.Helper()
	raw, err := os.ReadFile("testdata/transport.json")
	if err != nil {
		tb.Fatal(err)
	}
	var all []reading
	if err := json.Unmarshal(raw, &all); err != nil {
		tb.Fatal(err)
	}
	if len(all) < 80 {
		tb.Fatalf("only %d URLs were recorded", len(all))
	}
	return all
}

// refused are URLs that oslo.messaging accepts and we refuse.
func refused() map[string]string {
	const otherName = "oslo.messaging uses a virtual host of another name than was written"
	return map[string]string{
		"kombu+amqps://u:p@h/": "TLS is an option, and so it is for everybody who reads the file",
		"rabbit://h1;h2/":      "no such host name, and a mistake",
		"rabbit://a b/":        "no such host name",
		"rabbit://h:+5672/":    "a slip",
		"rabbit://h:5_672/":    "a slip",
		"rabbit://h/a%3Fb":     otherName,
		"rabbit://h/a%23b":     otherName,
		"rabbit://h/a%3Bb":     otherName,
		"rabbit://h/%2541":     otherName,
		"rabbit://h/;v":        otherName,
	}
}

// understood are URLs that fail in oslo.messaging although their meaning is clear, with
// our result.
func understood() map[string]string {
	return map[string]string{
		"memory://":                             "memory://",
		"rabbit://[2001:db8::1],[2001:db8::2]/": "rabbit://guest@[2001:db8::1]:5672,guest@[2001:db8::2]:5672/%2F",
		"rabbit://u:a]b@h/":                     "rabbit://u@h:5672/%2F",
		"rabbit://u:a[b]c@h/":                   "rabbit://u@h:5672/%2F",
		"rabbit://u:a%2Fb@h/":                   "rabbit://u@h:5672/%2F",
	}
}

func TestTransportURLsAreReadAsOsloMessagingReadsThem(t *testing.T) {
	refused, understood := refused(), understood()
	for _, r := range readings(t) {
		t.Run(r.URL, func(t *testing.T) {
			got, err := dsn.ParseTransport(r.URL)
			if want, ok := understood[r.URL]; ok {
				if r.Error == "" || err != nil || got.String() != want {
					t.Errorf("got %s, %v; want %s where oslo.messaging says %q", got, err, want, r.Error)
				}
				return
			}
			_, stricter := refused[r.URL]
			if stricter && r.Error != "" {
				t.Error("oslo.messaging refuses this as well")
			}
			if wantErr := r.Error != "" || stricter; (err != nil) != wantErr {
				t.Fatalf("got %s, error %v; oslo.messaging's error: %q", got, err, r.Error)
			}
			if err != nil {
				return
			}
			want := dsn.Transport{Scheme: dsn.SchemeRabbit, VirtualHost: r.Brokers[0].VirtualHost, Query: r.Query}
			for _, b := range r.Brokers {
				want.Brokers = append(want.Brokers, dsn.Broker{Host: b.Host, Port: b.Port, User: b.User, Password: b.Password})
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("the transport (-oslo.messaging's +ours):\n%s", diff)
			}
		})
	}
}

func TestTransportURLErrorsSayWhatToMend(t *testing.T) {
	for _, tc := range []struct{ name, url, want string }{
		{"no scheme", "controller", "it has no scheme: it must begin with rabbit:// or memory://"},
		{"another driver", "kafka://h/", "the scheme kafka is not supported: it must be rabbit or memory"},
		{"no scheme, but a password", "openstack:hunter2@h", "the scheme is unknown: it must be rabbit or memory"},
		{
			"a password that is not encoded", "rabbit://openstack:hun#ter2@h:5672/",
			"host 1: the port is no number from 1 to 65535; in a password, # / ? : @ and , are written %23 %2F %3F %3A %40 and %2C",
		},
		{"the second host", "rabbit://u:hunter2@h1/,", ""},
		{"an address", "rabbit://u:hunter2@h1,u:hunter2@[h2]/", "host 2: what stands in brackets is no IPv6 address"},
		{"behind an address", "rabbit://u:hunter2@[::1]5672/", "host 1: only a port may follow an address in brackets"},
		{"a bus inside the process with hosts", "memory://u:hunter2@h/", "memory:// takes neither hosts nor options"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := dsn.ParseTransport(tc.url)
			if got := fmt.Sprint(err); tc.want != "" && got != tc.want {
				t.Errorf("got error %q, want %q", got, tc.want)
			}
			if strings.Contains(fmt.Sprint(err), "hunter") {
				t.Errorf("the password is in %v", err)
			}
		})
	}
}

func TestTransportsDoNotShowPasswords(t *testing.T) {
	transport, err := dsn.ParseTransport("rabbit://a:hunter2@h1,b:hunter3@h2/v?ssl_key_file=hunter4")
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("it", "transport", transport, "broker", transport.Brokers[0])
	for _, text := range []string{
		fmt.Sprint(transport), fmt.Sprintf("%+v", transport), fmt.Sprintf("%#v", transport),
		fmt.Sprintf("%+v %#v", transport.Brokers, transport.Brokers), log.String(),
	} {
		if strings.Contains(text, "hunter") {
			t.Errorf("a password is in %s", text)
		}
	}
	if got, want := transport.String(), "rabbit://a@h1:5672,b@h2:5672/v"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// FuzzParseTransport checks that any text yields brokers that can be dialled, or an
// error that quotes nothing.
func FuzzParseTransport(f *testing.F) {
	for _, r := range readings(f) {
		f.Add(r.URL)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := dsn.ParseTransport(s)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x00") {
				t.Errorf("the error is %q", err)
			}
			return
		}
		if got.Scheme != dsn.SchemeRabbit {
			return
		}
		if len(got.Brokers) == 0 || got.VirtualHost == "" {
			t.Errorf("got %s", got)
		}
		for _, b := range got.Brokers {
			if b.Host == "" || b.User == "" || b.Password == "" || b.Port < 1 || b.Port > 65535 {
				t.Errorf("got broker %s", b)
			}
		}
	})
}
