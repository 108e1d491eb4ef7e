package store

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// timeLayout is the format of stored times: SQLAlchemy's, in UTC.
const timeLayout = "2006-01-02 15:04:05.000000"

// cells reads one row of a result, column by column, in order. It accepts whatever a
// driver makes of a column and whatever any program wrote to it: NULL everywhere,
// booleans as numbers, times as text. Unreadable values count as NULL.
type cells struct {
	values []any
	into   []any
	next   int
	labels map[string]string // strings that many rows share, each stored once
}

func newCells(columns int) *cells {
	c := &cells{values: make([]any, columns), into: make([]any, columns), labels: make(map[string]string)}
	for i := range c.values {
		c.into[i] = &c.values[i]
	}
	return c
}

func (c *cells) scan(rows *sql.Rows) error {
	c.next = 0
	return rows.Scan(c.into...)
}

func (c *cells) value() any {
	v := c.values[c.next]
	c.next++
	return v
}

func (c *cells) text() string {
	switch v := c.value().(type) {
	case string:
		return v
	case []byte:
		return string(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	default:
		return ""
	}
}

// label is text for values that repeat from row to row.
func (c *cells) label() string {
	if b, ok := c.values[c.next].([]byte); ok {
		if l, ok := c.labels[string(b)]; ok { // this lookup copies nothing
			c.next++
			return l
		}
	}
	s := c.text()
	if l, ok := c.labels[s]; ok {
		return l
	}
	c.labels[s] = s
	return s
}

// textOrNil is text; nil for NULL.
func (c *cells) textOrNil() *string {
	if c.values[c.next] == nil {
		c.next++
		return nil
	}
	s := c.text()
	return &s
}

func (c *cells) number() int64 {
	switch v := c.value().(type) {
	case int64:
		return v
	case float64:
		return int64(v)
	case []byte:
		n, _ := strconv.ParseInt(string(v), 10, 64)
		return n
	case string:
		n, _ := strconv.ParseInt(v, 10, 64)
		return n
	default:
		return 0
	}
}

func (c *cells) flag() bool {
	switch v := c.values[c.next].(type) {
	case bool:
		c.next++
		return v
	case []byte:
		if string(v) == "t" || string(v) == "true" {
			c.next++
			return true
		}
	}
	return c.number() != 0
}

func (c *cells) time() time.Time {
	switch v := c.value().(type) {
	case string:
		return readTime(v)
	case []byte:
		return readTime(string(v))
	case time.Time:
		return v.UTC()
	default:
		return time.Time{}
	}
}

func (c *cells) json(into any) error {
	column := c.next
	if err := json.Unmarshal([]byte(c.text()), into); err != nil {
		return fmt.Errorf("column %d: %w", column, err)
	}
	return nil
}

// readTime parses "2006-01-02 15:04:05" with or without a fraction; anything else is
// the zero time. It takes a quarter of the time of time.Parse, and each row of a list
// of services has up to three times.
func readTime(s string) time.Time {
	if len(s) < len("2006-01-02 15:04:05") || s[4] != '-' || s[7] != '-' || s[10] != ' ' && s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return time.Time{}
	}
	year, ok1 := digits(s[:4])
	month, ok2 := digits(s[5:7])
	day, ok3 := digits(s[8:10])
	hour, ok4 := digits(s[11:13])
	minute, ok5 := digits(s[14:16])
	second, ok6 := digits(s[17:19])
	nanos, ok7 := fraction(s[19:])
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 || !ok7 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC)
	if t.Day() != day || int(t.Month()) != month { // no such day: time.Date moved it to the next month
		return time.Time{}
	}
	return t
}

func digits(s string) (int, bool) {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}

// fraction parses "", or a point and one to nine digits, as nanoseconds.
func fraction(s string) (int, bool) {
	if s == "" {
		return 0, true
	}
	if s[0] != '.' || len(s) < 2 || len(s) > 10 {
		return 0, false
	}
	n, ok := digits(s[1:])
	for range 10 - len(s) {
		n *= 10
	}
	return n, ok
}

// timeValue formats a time for our own tables; NULL for the zero time.
func timeValue(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(timeLayout)
}

// secondsValue formats a time for Cinder's tables, where most engines store whole
// seconds.
func secondsValue(t time.Time) any {
	return timeValue(t.Truncate(time.Second))
}

// textValue writes "" as NULL.
func textValue(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// pointerValue writes nil as NULL.
func pointerValue(s *string) any {
	if s == nil {
		return nil
	}
	return *s
}

func jsonValue(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}
