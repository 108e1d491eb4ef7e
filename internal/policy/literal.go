package policy

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// literal reads the left side of a check like Python's ast.literal_eval: for a string,
// a number, True, False or None it returns the str() of that literal. Any other
// expression is not a literal: a name, dotted names, names and literals joined by
// operators. It fails on what is not an expression, and on displays ([], {}), calls and
// f-strings, which nobody writes in a policy.
func literal(kind string) (value string, isLiteral bool, err error) {
	l := lexer{rest: strings.TrimLeft(kind, " \t"), all: kind}
	value, isLiteral, err = l.operand()
	for err == nil {
		if l.space(); l.rest == "" || l.rest[0] == '#' {
			break
		}
		isLiteral = false
		if !l.operator() {
			return "", false, l.wrong()
		}
		_, _, err = l.operand()
	}
	return value, isLiteral, err
}

type lexer struct{ rest, all string }

func (l *lexer) wrong() error {
	return fmt.Errorf("the left side of %q is neither an attribute nor a literal", l.all+":")
}

// space skips spaces between words. Only checks in lists contain spaces.
func (l *lexer) space() { l.rest = strings.TrimLeft(l.rest, " \t\f") }

// operator consumes a binary operator.
func (l *lexer) operator() bool {
	for _, op := range []string{"**", "//", "<<", ">>", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "@", "&", "|", "^", "<", ">", ","} {
		if after, ok := strings.CutPrefix(l.rest, op); ok {
			l.rest = after
			return true
		}
	}
	return false
}

// operand consumes signs and a literal or dotted name.
func (l *lexer) operand() (value string, isLiteral bool, err error) {
	l.space()
	after := strings.TrimLeft(l.rest, "+-~ \t\f")
	signs := strings.Map(noSpace, l.rest[:len(l.rest)-len(after)])
	l.rest = after
	if after, ok := strings.CutPrefix(l.rest, "not "); ok && signs == "" {
		l.rest = after
		_, _, err := l.operand()
		return "", false, err
	}
	first, _ := utf8.DecodeRuneInString(l.rest)
	switch {
	case l.rest == "":
		return "", false, l.wrong()
	case first == '\'' || first == '"' || prefixed(l.rest):
		for { // adjacent strings are concatenated
			s, err := l.text()
			if err != nil {
				return "", false, err
			}
			value += s
			if l.rest == "" || l.rest[0] != '\'' && l.rest[0] != '"' && !prefixed(l.rest) {
				break
			}
		}
		isLiteral = signs == ""
	case first >= '0' && first <= '9' || first == '.':
		if value, err = l.number(); err != nil {
			return "", false, err
		}
		if signs == "-" {
			value = negative(value)
		}
		isLiteral = len(signs) == 0 || len(signs) == 1 && signs != "~"
	default:
		value = l.name()
		switch {
		case value == "":
			return "", false, l.wrong()
		case value == "True" || value == "False" || value == "None":
			isLiteral = signs == ""
		case slices.Contains(keywords(), value):
			return "", false, l.wrong()
		}
	}
	for strings.HasPrefix(l.rest, ".") {
		l.rest = l.rest[1:]
		isLiteral = false
		if name := l.name(); name == "" || name == "True" || name == "False" || name == "None" || slices.Contains(keywords(), name) {
			return "", false, l.wrong()
		}
	}
	return value, isLiteral, nil
}

// noSpace drops the spaces between signs.
func noSpace(r rune) rune {
	if strings.ContainsRune(" \t\f", r) {
		return -1
	}
	return r
}

func (l *lexer) name() string {
	end := len(l.rest)
	for i, r := range l.rest {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.In(r, unicode.Nd, unicode.Mn, unicode.Mc)) {
			end = i
			break
		}
	}
	name := l.rest[:end]
	l.rest = l.rest[end:]
	return name
}

// keywords are Python's keywords.
func keywords() []string {
	return []string{
		"and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "else", "except",
		"finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal", "not", "or", "pass",
		"raise", "return", "try", "while", "with", "yield",
	}
}

// prefixed reports whether a string literal begins here, with a prefix other than b or
// f.
func prefixed(s string) bool {
	return len(s) >= 2 && strings.IndexByte("rRuU", s[0]) >= 0 && (s[1] == '\'' || s[1] == '"')
}

// text consumes a string literal.
func (l *lexer) text() (string, error) {
	raw := false
	if prefixed(l.rest) {
		raw = l.rest[0] == 'r' || l.rest[0] == 'R'
		l.rest = l.rest[1:]
	}
	quote := l.rest[:1]
	if strings.HasPrefix(l.rest, strings.Repeat(quote, 3)) {
		quote = strings.Repeat(quote, 3)
	}
	s := l.rest[len(quote):]
	var b strings.Builder
	for {
		switch {
		case s == "" || len(quote) == 1 && s[0] == '\n':
			return "", l.wrong()
		case strings.HasPrefix(s, quote):
			l.rest = s[len(quote):]
			return b.String(), nil
		case s[0] == '\\' && len(s) > 1 && raw:
			b.WriteString(s[:2])
			s = s[2:]
		case s[0] == '\\' && len(s) > 1:
			text, rest, ok := escape(s[1:])
			if !ok {
				return "", l.wrong()
			}
			b.WriteString(text)
			s = rest
		default:
			_, size := utf8.DecodeRuneInString(s)
			b.WriteString(s[:size])
			s = s[size:]
		}
	}
}

// escape reads an escape sequence after its backslash.
func escape(s string) (text, rest string, ok bool) {
	const from, to = `\'"abfnrtv`, "\\'\"\a\b\f\n\r\t\v"
	if i := strings.IndexByte(from, s[0]); i >= 0 {
		return to[i : i+1], s[1:], true
	}
	digits, base, skip := 0, 16, 1
	switch s[0] {
	case '\n':
		return "", s[1:], true
	case 'x':
		digits = 2
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	case 'N': // named characters
		return "", "", false
	default:
		if s[0] < '0' || s[0] > '7' {
			return `\` + s[:1], s[1:], s[0] < utf8.RuneSelf
		}
		base, skip = 8, 0
		for digits < 3 && digits < len(s) && s[digits] >= '0' && s[digits] <= '7' {
			digits++
		}
	}
	if len(s) < skip+digits {
		return "", "", false
	}
	n, err := strconv.ParseUint(s[skip:skip+digits], base, 32)
	if err != nil || n > unicode.MaxRune {
		return "", "", false
	}
	return string(rune(n)), s[skip+digits:], true
}

// number consumes a number, and returns it in Python's form.
func (l *lexer) number() (string, error) {
	end := 0
	for end < len(l.rest) {
		c := l.rest[end]
		exponent := end > 0 && (c == '+' || c == '-') && (l.rest[end-1] == 'e' || l.rest[end-1] == 'E') && !strings.HasPrefix(strings.ToLower(l.rest), "0x")
		if c != '.' && c != '_' && !exponent && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			break
		}
		end++
	}
	text := l.rest[:end]
	l.rest = l.rest[end:]
	integer, _ := regexp.MatchString(`^(0[xX](_?[0-9a-fA-F])+|0[oO](_?[0-7])+|0[bB](_?[01])+|0(_?0)*|[1-9](_?[0-9])*)$`, text)
	if integer {
		n, ok := new(big.Int).SetString(text, 0)
		if !ok || len(text) > maxWidth {
			return "", l.wrong()
		}
		return n.String(), nil
	}
	const digits = `[0-9](_?[0-9])*`
	float, _ := regexp.MatchString(`^((`+digits+`)?\.`+digits+`|`+digits+`\.?)([eE][+-]?`+digits+`)?$`, text)
	whole, _ := regexp.MatchString(`^`+digits+`$`, text) // for instance 007
	if !float || whole {
		return "", l.wrong()
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
	if err != nil && !math.IsInf(f, 0) {
		return "", l.wrong()
	}
	return floatText(f), nil
}

// floatText is Python's repr of a float.
func floatText(f float64) string {
	if math.IsInf(f, 0) {
		return "inf"
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, 64), "e")
	e, _ := strconv.Atoi(exponent)
	if e >= -4 && e < 16 {
		s := strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	return fmt.Sprintf("%se%+03d", mantissa, e)
}

func negative(number string) string {
	if number == "0" {
		return number
	}
	return "-" + number
}
