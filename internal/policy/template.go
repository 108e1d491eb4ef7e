package policy

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// template is a text with %(name)s in it, formatted like Python's % operator with the
// attributes of the target.
type template struct {
	text  string
	parts []part // nil: the text is constant
}

// part is a literal text and the conversion after it.
type part struct {
	text  string
	name  string // "" means none
	named bool
	repr  bool // repr() instead of str()
	width int
	left  bool // left-justified
	max   int  // precision in characters; -1 means all
	wrong string
}

// maxWidth bounds the width of a conversion.
const maxWidth = 1000

// parseTemplate parses a template. Errors are reported when it is filled, as in Python:
// a missing attribute may come first.
func parseTemplate(text string) template {
	t := template{text: text}
	if !strings.Contains(text, "%") {
		return t
	}
	rest := text
	var b strings.Builder
	for {
		before, after, found := strings.Cut(rest, "%")
		b.WriteString(before)
		if !found {
			break
		}
		if strings.HasPrefix(after, "%") {
			b.WriteByte('%')
			rest = after[1:]
			continue
		}
		var p part
		p, rest = parsePart(after)
		p.text = b.String()
		b.Reset()
		t.parts = append(t.parts, p)
		if p.wrong != "" {
			break
		}
	}
	t.parts = append(t.parts, part{text: b.String()})
	return t
}

// parsePart parses the conversion after a %, and returns the rest.
func parsePart(s string) (p part, rest string) {
	p.max = -1
	if strings.HasPrefix(s, "(") {
		depth, end := 0, -1
		for i := range len(s) {
			if s[i] == '(' {
				depth++
			} else if s[i] == ')' {
				if depth--; depth == 0 {
					end = i
					break
				}
			}
		}
		if end < 0 {
			p.wrong = "a %( without )"
			return p, ""
		}
		p.name, p.named, s = s[1:end], true, s[end+1:]
	}
	for s != "" && strings.IndexByte("#0- +", s[0]) >= 0 {
		p.left = p.left || s[0] == '-'
		s = s[1:]
	}
	p.width, s = number(s)
	if strings.HasPrefix(s, ".") {
		p.max, s = number(s[1:])
	}
	if s != "" && strings.IndexByte("hlL", s[0]) >= 0 {
		s = s[1:]
	}
	r, size := utf8.DecodeRuneInString(s)
	switch {
	case size == 0:
		p.wrong = "an incomplete %"
	case p.width > maxWidth:
		p.wrong = fmt.Sprintf("a width of more than %d", maxWidth)
	case !p.named:
		p.wrong = "a % without (name)"
	case r == 's':
	case r == 'r' || r == 'a':
		p.repr = true
	default:
		p.wrong = fmt.Sprintf("%%(%s)%c, where only s makes sense", p.name, r)
	}
	return p, s[size:]
}

func number(s string) (n int, rest string) {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		if n <= maxWidth {
			n = n*10 + int(s[i]-'0')
		}
		i++
	}
	return n, s[i:]
}

// fill formats the template. It fails with errNoTarget when an attribute is missing,
// and with an evalError when the template is invalid.
func (t template) fill(from attributes) (string, error) {
	switch {
	case len(t.parts) == 0:
		return t.text, nil
	case len(t.parts) == 2 && t.parts[0].plain() && t.parts[0].text == "" && t.parts[1].text == "": // only %(name)s
		v, ok := from.attribute(t.parts[0].name)
		if !ok {
			return "", fmt.Errorf("%w: %s", errNoTarget, t.parts[0].name)
		}
		return textOf(v), nil
	}
	var b strings.Builder
	for _, p := range t.parts {
		b.WriteString(p.text)
		var v any
		if p.named {
			var ok bool
			if v, ok = from.attribute(p.name); !ok {
				return "", fmt.Errorf("%w: %s", errNoTarget, p.name)
			}
		}
		if p.wrong != "" {
			return "", evalErrorf("%q has %s", t.text, p.wrong)
		}
		if p.named {
			b.WriteString(p.format(v))
		}
	}
	return b.String(), nil
}

func (p part) plain() bool {
	return p.named && !p.repr && p.width == 0 && p.max < 0 && p.wrong == ""
}

func (p part) format(v any) string {
	s := textOf(v)
	if p.repr {
		s = quoted(v)
	}
	if p.max >= 0 {
		if r := []rune(s); len(r) > p.max {
			s = string(r[:p.max])
		}
	}
	if pad := p.width - utf8.RuneCountInString(s); pad > 0 {
		if p.left {
			return s + strings.Repeat(" ", pad)
		}
		return strings.Repeat(" ", pad) + s
	}
	return s
}
