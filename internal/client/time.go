package client

import (
	"fmt"
	"time"
)

// layout is the API's form of a time: UTC, without a zone.
const layout = "2006-01-02T15:04:05.000000"

// Time is a time in the API's form. The zero one is one that was never, which
// the API writes as "".
type Time struct{ time.Time }

// UnmarshalText reads the API's form, with a fraction or without.
func (t *Time) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		t.Time = time.Time{}
		return nil
	}
	parsed, err := time.Parse("2006-01-02T15:04:05", string(b)) // takes a fraction too
	if err != nil {
		return fmt.Errorf("time: %w", err)
	}
	t.Time = parsed
	return nil
}

// MarshalText writes it.
func (t Time) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// MarshalJSON keeps time.Time's own form out.
func (t Time) MarshalJSON() ([]byte, error) { return []byte(`"` + t.String() + `"`), nil }

// UnmarshalJSON is UnmarshalText for a JSON string.
func (t *Time) UnmarshalJSON(b []byte) error {
	if len(b) < 2 || b[0] != '"' {
		return fmt.Errorf("time: %s is not a string", b)
	}
	return t.UnmarshalText(b[1 : len(b)-1])
}

// String is the API's form.
func (t Time) String() string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(layout)
}
