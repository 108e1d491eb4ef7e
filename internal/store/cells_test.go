package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestCells reads the values that different drivers return for the same columns.
func TestCells(t *testing.T) {
	moment := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	text := func(c *cells) any { return c.text() }
	label := func(c *cells) any { return c.label() }
	number := func(c *cells) any { return c.number() }
	flag := func(c *cells) any { return c.flag() }
	when := func(c *cells) any { return c.time() }
	pointer := func(c *cells) any {
		if p := c.textOrNil(); p != nil {
			return *p
		}
		return nil
	}
	for _, test := range []struct {
		name  string
		value any
		read  func(*cells) any
		want  any
	}{
		{"text", "a", text, "a"},
		{"text as bytes", []byte("a"), text, "a"},
		{"text that is a number", int64(7), text, "7"},
		{"text that is a fraction", 1.5, text, "1.5"},
		{"no text", nil, text, ""},
		{"label", "a", label, "a"},
		{"no label", nil, label, ""},
		{"pointer", "a", pointer, "a"},
		{"pointer to nothing", "", pointer, ""},
		{"no pointer", nil, pointer, nil},
		{"number", int64(7), number, int64(7)},
		{"number as bytes", []byte("7"), number, int64(7)},
		{"number as text", "7", number, int64(7)},
		{"number as a fraction", 7.0, number, int64(7)},
		{"no number", nil, number, int64(0)},
		{"not a number", "seven", number, int64(0)},
		{"flag", true, flag, true},
		{"flag as a number", int64(1), flag, true},
		{"flag as bytes", []byte("1"), flag, true},
		{"flag that is off", int64(0), flag, false},
		{"no flag", nil, flag, false},
		{"time", "2026-11-23 08:00:00", when, moment},
		{"time as bytes", []byte("2026-11-23 08:00:00"), when, moment},
		{"time as a time", moment.In(time.FixedZone("east", 3600)), when, moment},
		{"no time", nil, when, time.Time{}},
		{"time as a number", int64(1), when, time.Time{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCells(1)
			c.values[0] = test.value
			if diff := cmp.Diff(test.want, test.read(c)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if c.next != 1 {
				t.Errorf("%d columns read, want 1", c.next)
			}
		})
	}
}

func TestCellsRefuseBrokenJSON(t *testing.T) {
	c := newCells(1)
	c.values[0] = "{"
	var into struct{}
	if err := c.json(&into); err == nil {
		t.Error("no error")
	}
}

func TestReadTime(t *testing.T) {
	for _, test := range []struct {
		text string
		want time.Time
	}{
		{"2026-11-23 08:01:02", time.Date(2026, 11, 23, 8, 1, 2, 0, time.UTC)},
		{"2026-11-23T08:01:02", time.Date(2026, 11, 23, 8, 1, 2, 0, time.UTC)},
		{"2026-11-23 08:01:02.5", time.Date(2026, 11, 23, 8, 1, 2, 500_000_000, time.UTC)},
		{"2026-11-23 08:01:02.000123", time.Date(2026, 11, 23, 8, 1, 2, 123_000, time.UTC)},
		{"2026-11-23 08:01:02.123456789", time.Date(2026, 11, 23, 8, 1, 2, 123_456_789, time.UTC)},
		{"2024-02-29 23:59:59", time.Date(2024, 2, 29, 23, 59, 59, 0, time.UTC)},
		{"", time.Time{}},
		{"2026-11-23", time.Time{}},
		{"2026-02-29 08:01:02", time.Time{}},
		{"2026-00-01 08:01:02", time.Time{}},
		{"2026-11-23 24:01:02", time.Time{}},
		{"2026-11-23 08:60:02", time.Time{}},
		{"2026-11-23 08:01:60", time.Time{}},
		{"2026-11-23 08:01:02.", time.Time{}},
		{"2026-11-23 08:01:02.1234567890", time.Time{}},
		{"2026-11-23 08:01:02Z", time.Time{}},
		{"2026-11-23 08:01:02.x", time.Time{}},
		{"x026-11-23 08:01:02", time.Time{}},
		{"2026/11/23 08:01:02", time.Time{}},
	} {
		if got := readTime(test.text); !got.Equal(test.want) {
			t.Errorf("%q reads as %v, want %v", test.text, got, test.want)
		}
	}
}

// FuzzReadTime compares readTime with the standard library's parser.
func FuzzReadTime(f *testing.F) {
	for _, seed := range []string{"2026-11-23 08:01:02", "2026-11-23 08:01:02.5", "2026-02-30 08:01:02", "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := readTime(s)
		if len(s) < 19 || len(s) > 29 || s[10] == 'T' || len(s) > 19 && s[19] != '.' {
			return
		}
		const layout = "2006-01-02 15:04:05"
		want, err := time.Parse(layout, s)
		if err != nil || want.Format(layout) != s[:len(layout)] { // time.Parse accepts a single digit as the hour
			want = time.Time{}
		}
		if !got.Equal(want) {
			t.Errorf("%q reads as %v, want %v", s, got, want)
		}
	})
}

func TestValues(t *testing.T) {
	moment := time.Date(2026, 11, 23, 9, 0, 0, 999_999_000, time.FixedZone("east", 3600))
	empty := ""
	for _, test := range []struct {
		name      string
		got, want any
	}{
		{"time", timeValue(moment), "2026-11-23 08:00:00.999999"},
		{"seconds", secondsValue(moment), "2026-11-23 08:00:00.000000"},
		{"no time", timeValue(time.Time{}), nil},
		{"no seconds", secondsValue(time.Time{}), nil},
		{"text", textValue("a"), "a"},
		{"no text", textValue(""), nil},
		{"empty pointer", pointerValue(&empty), ""},
		{"no pointer", pointerValue(nil), nil},
	} {
		if test.got != test.want {
			t.Errorf("%s: %v, want %v", test.name, test.got, test.want)
		}
	}
}
