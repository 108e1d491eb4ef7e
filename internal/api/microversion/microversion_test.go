package microversion_test

import (
	"errors"
	"strings"
	"testing"

	"stoker/internal/api/microversion"
)

func TestParse(t *testing.T) {
	const form = " is of invalid format. Must be of format MajorNum.MinorNum."
	tests := []struct {
		name   string
		values []string
		want   microversion.Version
		err    string
	}{
		{name: "no header", want: 0},
		{name: "oldest", values: []string{"volume 3.0"}, want: 0},
		{name: "newest", values: []string{"volume 3.71"}, want: 71},
		{name: "latest", values: []string{"volume latest"}, want: 71},
		{name: "spaces around", values: []string{"  volume \t 3.7  "}, want: 7},
		{name: "first of several", values: []string{"volume 3.0,volume 3.7"}, want: 0},
		{name: "after another service", values: []string{"compute 2.1, volume 3.7"}, want: 7},
		{name: "on a second line", values: []string{"compute 2.1", "volume 3.49"}, want: 49},
		{name: "first line wins", values: []string{"volume 3.7", "volume 3.49"}, want: 7},
		{name: "any word that contains volume", values: []string{"block-volume 3.7"}, want: 7},
		{name: "empty", values: []string{""}, err: microversion.ErrUnnamed.Error()},
		{name: "only commas", values: []string{",,,"}, err: microversion.ErrUnnamed.Error()},
		{name: "another service", values: []string{"compute 2.1"}, err: microversion.ErrUnnamed.Error()},
		{name: "case counts", values: []string{"Volume 3.7"}, err: microversion.ErrUnnamed.Error()},
		{name: "just above", values: []string{"volume 3.72"}, err: "Version 3.72 is not supported by the API. Minimum is 3.0 and maximum is 3.71."},
		{name: "far above", values: []string{"volume 3.99999999999999999999"}, err: "Version 3.99999999999999999999 is not"},
		{name: "next major", values: []string{"volume 4.0"}, err: "Version 4.0 is not"},
		{name: "previous major", values: []string{"volume 2.1"}, err: "Version 2.1 is not"},
		{name: "long major", values: []string{"volume 33.1"}, err: "Version 33.1 is not"},
		{name: "no version", values: []string{"volume"}, err: "API Version String volume" + form},
		{name: "three words", values: []string{"volume 3.7 x"}, err: "API Version String volume 3.7 x" + form},
		{name: "word", values: []string{"volume x"}, err: "API Version String x" + form},
		{name: "capital latest", values: []string{"volume LATEST"}, err: "API Version String LATEST" + form},
		{name: "leading zero", values: []string{"volume 3.07"}, err: "API Version String 3.07" + form},
		{name: "leading zero in major", values: []string{"volume 03.7"}, err: "API Version String 03.7" + form},
		{name: "major zero", values: []string{"volume 0.1"}, err: "API Version String 0.1" + form},
		{name: "negative", values: []string{"volume -1"}, err: "API Version String -1" + form},
		{name: "three parts", values: []string{"volume 3.7.1"}, err: "API Version String 3.7.1" + form},
		{name: "no minor", values: []string{"volume 3."}, err: "API Version String 3." + form},
		{name: "no major", values: []string{"volume .7"}, err: "API Version String .7" + form},
		{name: "plus", values: []string{"volume 3.+7"}, err: "API Version String 3.+7" + form},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := microversion.Parse(tt.values, microversion.Max)
			if tt.err == "" {
				if err != nil || got != tt.want {
					t.Errorf("got %v, %v, want %v", got, err, tt.want)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), tt.err) {
				t.Errorf("got %v, %v, want an error that starts with %q", got, err, tt.err)
			}
		})
	}
}

func TestHeaderValue(t *testing.T) {
	if got, want := microversion.Version(49).HeaderValue(), "volume 3.49"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	_, err := microversion.Parse([]string{"volume 3.99"}, microversion.Max)
	e, ok := errors.AsType[*microversion.RangeError](err)
	if !ok {
		t.Fatalf("got %v, want a RangeError", err)
	}
	if got, want := e.HeaderValue(), "volume 3.99"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What is parsed is within range, is spelled back as it was given, and is
// parsed to itself again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"volume 3.7", "volume latest", "compute 2.1,volume 3.0", "", "volume", "volume 3.99999999999999999999", " volume 3.7 ", "volume 3.٣"} {
		f.Add(s, "")
	}
	f.Add("compute 2.1", "volume 3.1")
	f.Fuzz(func(t *testing.T, a, b string) {
		v, err := microversion.Parse([]string{a, b}, microversion.Max)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without a message")
			}
			return
		}
		if v < microversion.Min || v > microversion.Max {
			t.Errorf("%q, %q: %v is out of range", a, b, v)
		}
		if again, err := microversion.Parse([]string{v.HeaderValue()}, microversion.Max); err != nil || again != v {
			t.Errorf("%v parsed again: %v, %v", v, again, err)
		}
		if !strings.Contains(a+","+b, v.String()) && !strings.Contains(a+","+b, "latest") {
			t.Errorf("%q, %q: got %v, which they do not say", a, b, v)
		}
	})
}
