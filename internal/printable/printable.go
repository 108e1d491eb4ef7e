package printable

import (
	"bytes"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Hidden says whether a terminal would obey r or show nothing for it.
func Hidden(r rune) bool {
	switch {
	case r >= ' ' && r <= '~':
		return false
	case !unicode.IsGraphic(r): // controls, format and tag characters, separators of lines, private and unassigned ones
		return true
	}
	// Letters and marks without a shape: fillers, variation selectors.
	return unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// Text is s for people, on one line: a space for each tab and line break, and an
// escape as Go spells it (\x1b, \u202e) for everything else that is hidden and
// each byte that is not UTF-8.
func Text(s string) string {
	return string(escape([]byte(s), func(b []byte, r rune) []byte {
		if r == '\n' || r == '\r' || r == '\t' {
			return append(b, ' ')
		}
		return quoted(b, r)
	}, invalid))
}

// Lines is Text for each line of s.
func Lines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = Text(lines[i])
	}
	return strings.Join(lines, "\n")
}

// JSON is a text of JSON with what is hidden in its strings escaped: it means
// the same. Line breaks, of which strings have none, stay.
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

// Quoted is a text whose strings are quoted as YAML and Go do, with what is
// hidden in them escaped: it means the same. Line breaks stay.
func Quoted(text []byte) []byte {
	return escape(text, func(b []byte, r rune) []byte {
		if r == '\n' {
			return append(b, '\n')
		}
		return quoted(b, r)
	}, nil)
}

// escape replaces what is hidden in text. Bytes that are not UTF-8 stay as they
// are without a replacement for them. Mostly there is nothing to do, and text is
// returned itself.
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

// hex appends a prefix, and r in so many hexadecimal digits.
func hex(b []byte, prefix string, r rune, digits int) []byte {
	text := strconv.FormatInt(int64(r), 16)
	b = append(b, prefix...)
	return append(append(b, bytes.Repeat([]byte("0"), digits-len(text))...), text...)
}
