package printable

import (
	"bytes"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Hidden reports whether a terminal would interpret r or display nothing for it.
func Hidden(r rune) bool {
	switch {
	case r >= ' ' && r <= '~':
		return false
	case !unicode.IsGraphic(r): // control, format, tag, private-use and unassigned characters, line separators
		return true
	}
	// Invisible letters and marks: fillers, variation selectors.
	return unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// Text formats s for display on one line: tabs and line breaks become spaces, and other
// hidden characters and invalid bytes become Go escapes (\x1b, \u202e).
func Text(s string) string {
	return string(escape([]byte(s), func(b []byte, r rune) []byte {
		if r == '\n' || r == '\r' || r == '\t' {
			return append(b, ' ')
		}
		return quoted(b, r)
	}, invalid))
}

// Lines applies Text to each line of s.
func Lines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = Text(lines[i])
	}
	return strings.Join(lines, "\n")
}

// JSON escapes hidden characters in the strings of a JSON text, which keeps its
// meaning. Line breaks, which strings cannot contain, stay.
func JSON(text []byte) []byte {
	return escape(text, func(b []byte, r rune) []byte {
		switch {
		case r == '\n':
			return append(b, '\n')
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			return hex(hex(b, `\u`, high, 4), `\u`, low, 4)
		default:
			return hex(b, `\u`, r, 4)
		}
	}, nil)
}

// Quoted escapes hidden characters in a text whose strings are quoted as in YAML and
// Go. The text keeps its meaning. Line breaks stay.
func Quoted(text []byte) []byte {
	return escape(text, func(b []byte, r rune) []byte {
		if r == '\n' {
			return append(b, '\n')
		}
		return quoted(b, r)
	}, nil)
}

// escape replaces the hidden characters of text. Without bad, invalid bytes stay.
// Mostly there is nothing to replace, and it returns text itself.
func escape(text []byte, hidden func([]byte, rune) []byte, bad func([]byte, byte) []byte) []byte {
	replace := func(r rune, size int) bool {
		if r == utf8.RuneError && size == 1 {
			return bad != nil
		}
		return Hidden(r)
	}
	var out []byte
	done := 0
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if replace(r, size) {
			out = append(out, text[done:i]...)
			if r == utf8.RuneError && size == 1 {
				out = bad(out, text[i])
			} else {
				out = hidden(out, r)
			}
			done = i + size
		}
		i += size
	}
	if done == 0 {
		return text
	}
	return append(out, text[done:]...)
}

func quoted(b []byte, r rune) []byte {
	switch {
	case r <= 0xff:
		return hex(b, `\x`, r, 2)
	case r <= 0xffff:
		return hex(b, `\u`, r, 4)
	default:
		return hex(b, `\U`, r, 8)
	}
}

func invalid(b []byte, c byte) []byte { return hex(b, `\x`, rune(c), 2) }

// hex appends a prefix and r as a hexadecimal number with that many digits.
func hex(b []byte, prefix string, r rune, digits int) []byte {
	text := strconv.FormatInt(int64(r), 16)
	b = append(b, prefix...)
	return append(append(b, bytes.Repeat([]byte("0"), digits-len(text))...), text...)
}
