package schema

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ErrMalformed is a body that is not JSON in UTF-8.
var ErrMalformed = errors.New("malformed request body")

// maxDepth bounds how deep arrays and objects nest. No valid body nests at all.
const maxDepth = 64

// Decode reads one JSON value: nil, bool, json.Number, string, []any or
// map[string]any. As in Cinder, of a key that occurs twice the last one counts,
// NaN, Infinity and -Infinity are numbers, and half a surrogate pair is a
// character (kept as three bytes that are no valid UTF-8). The error is
// ErrMalformed.
func Decode(body []byte) (any, error) {
	if !utf8.Valid(body) {
		return nil, ErrMalformed
	}
	d := decoder{text: string(body)}
	v, err := d.value(0)
	if err != nil {
		return nil, err
	}
	d.space()
	if d.pos != len(d.text) {
		return nil, ErrMalformed
	}
	return v, nil
}

type decoder struct {
	text string
	pos  int
}

func (d *decoder) space() {
	for d.pos < len(d.text) && strings.IndexByte(" \t\n\r", d.text[d.pos]) >= 0 {
		d.pos++
	}
}

// peek is the next byte that is no space; 0 at the end.
func (d *decoder) peek() byte {
	d.space()
	if d.pos == len(d.text) {
		return 0
	}
	return d.text[d.pos]
}

// take skips word if the text goes on with it.
func (d *decoder) take(word string) bool {
	if !strings.HasPrefix(d.text[d.pos:], word) {
		return false
	}
	d.pos += len(word)
	return true
}

func (d *decoder) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, ErrMalformed
	}
	switch d.peek() {
	case '{':
		return d.object(depth)
	case '[':
		return d.array(depth)
	case '"':
		return d.str()
	}
	switch {
	case d.take("null"):
		return nil, nil
	case d.take("true"):
		return true, nil
	case d.take("false"):
		return false, nil
	}
	return d.number()
}

func (d *decoder) object(depth int) (any, error) {
	d.pos++
	obj := map[string]any{}
	if d.peek() == '}' {
		d.pos++
		return obj, nil
	}
	for {
		if d.peek() != '"' {
			return nil, ErrMalformed
		}
		key, err := d.str()
		if err != nil {
			return nil, err
		}
		if d.peek() != ':' {
			return nil, ErrMalformed
		}
		d.pos++
		if obj[key], err = d.value(depth + 1); err != nil {
			return nil, err
		}
		if more, err := d.more('}'); !more {
			return obj, err
		}
	}
}

func (d *decoder) array(depth int) (any, error) {
	d.pos++
	arr := []any{}
	if d.peek() == ']' {
		d.pos++
		return arr, nil
	}
	for {
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		arr = append(arr, v)
		if more, err := d.more(']'); !more {
			return arr, err
		}
	}
}

// more skips the comma before another item, or the end of the array or object.
func (d *decoder) more(end byte) (bool, error) {
	switch d.peek() {
	case ',':
		d.pos++
		return true, nil
	case end:
		d.pos++
		return false, nil
	default:
		return false, ErrMalformed
	}
}

func (d *decoder) number() (any, error) {
	start := d.pos
	d.take("-")
	if d.take("Infinity") || d.pos == start && d.take("NaN") {
		return json.Number(d.text[start:d.pos]), nil
	}
	if !d.take("0") && !d.digits() {
		return nil, ErrMalformed
	}
	if d.take(".") && !d.digits() {
		return nil, ErrMalformed
	}
	if d.take("e") || d.take("E") {
		_ = d.take("+") || d.take("-")
		if !d.digits() {
			return nil, ErrMalformed
		}
	}
	return json.Number(d.text[start:d.pos]), nil
}

// digits skips at least one digit.
func (d *decoder) digits() bool {
	start := d.pos
	for d.pos < len(d.text) && d.text[d.pos] >= '0' && d.text[d.pos] <= '9' {
		d.pos++
	}
	return d.pos > start
}

func (d *decoder) str() (string, error) {
	d.pos++
	start := d.pos
	for d.pos < len(d.text) {
		switch c := d.text[d.pos]; {
		case c == '"':
			s := d.text[start:d.pos]
			d.pos++
			return s, nil
		case c == '\\':
			return d.escaped(d.text[start:d.pos])
		case c < ' ':
			return "", ErrMalformed
		}
		d.pos++
	}
	return "", ErrMalformed
}

// escaped goes on with a string of which head is read, at its first escape.
func (d *decoder) escaped(head string) (string, error) {
	out := []byte(head)
	for d.pos < len(d.text) {
		c := d.text[d.pos]
		d.pos++
		switch {
		case c == '"':
			return string(out), nil
		case c < ' ':
			return "", ErrMalformed
		case c != '\\':
			out = append(out, c)
			continue
		}
		if d.pos == len(d.text) {
			break
		}
		c = d.text[d.pos]
		d.pos++
		if c == 'u' {
			r, err := d.rune()
			if err != nil {
				return "", err
			}
			out = appendRune(out, r)
			continue
		}
		i := strings.IndexByte(`"\/bfnrt`, c)
		if i < 0 {
			return "", ErrMalformed
		}
		out = append(out, "\"\\/\b\f\n\r\t"[i])
	}
	return "", ErrMalformed
}

// rune reads the four digits of a \u escape, and the second half of a surrogate
// pair where the first is one.
func (d *decoder) rune() (rune, error) {
	r, ok := d.hex()
	if !ok {
		return 0, ErrMalformed
	}
	if r >= 0xd800 && r < 0xdc00 {
		at := d.pos
		if d.take(`\u`) {
			if low, ok := d.hex(); ok && low >= 0xdc00 && low < 0xe000 {
				return 0x10000 + (r-0xd800)<<10 + (low - 0xdc00), nil
			}
		}
		d.pos = at
	}
	return r, nil
}

func (d *decoder) hex() (rune, bool) {
	if d.pos+4 > len(d.text) {
		return 0, false
	}
	n, err := strconv.ParseUint(d.text[d.pos:d.pos+4], 16, 16)
	if err != nil {
		return 0, false
	}
	d.pos += 4
	return rune(n), true
}

// appendRune appends r in UTF-8, and half a surrogate pair in the three bytes
// that it would have there.
func appendRune(out []byte, r rune) []byte {
	if r >= 0xd800 && r < 0xe000 {
		return append(out, 0xe0|byte(r>>12), 0x80|byte(r>>6&0x3f), 0x80|byte(r&0x3f))
	}
	return utf8.AppendRune(out, r)
}
