package client

import (
	"fmt"
	"time"
)

// layout is the API's format for a time: UTC, without a zone.
const layout = "2006-01-02T15:04:05.000000"

// Time is a time in the API's format. The zero time, which means never, is written as
// "".
type Time struct{ time.Time }

// UnmarshalText parses the API's format, with or without a fraction.
func (t *Time) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		t.Time = time.Time{}
		return nil
	}
	parsed, err := time.Parse("2006-01-02T15:04:05", string(b)) // accepts a fraction too
	if err != nil {
		return fmt.Errorf("time: %w", err)
	}
	t.Time = parsed
	return nil
}

// MarshalText formats the time for the API.
func (t Time) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// MarshalJSON overrides that of time.Time.
func (t Time) MarshalJSON() ([]byte, error) { return []byte(`"` + t.String() + `"`), nil }

// UnmarshalJSON is UnmarshalText for a JSON string.
func (t *Time) UnmarshalJSON(b []byte) error {
	if len(b) < 2 || b[0] != '"' {
		return fmt.Errorf("time: %s is not a string", b)
	}
	return t.UnmarshalText(b[1 : len(b)-1])
}

// String formats the time for the API.
func (t Time) String() string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(layout)
}
