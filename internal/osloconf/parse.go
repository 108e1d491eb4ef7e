package osloconf

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ParseError is a syntax error in a file.
type ParseError struct {
	File string
	Line int // starting at 1
	Msg  string
}

// Error returns file:line: message.
func (e *ParseError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg) }

// parser is the parser's state between lines.
type parser struct {
	file    string
	line    int
	assign  func(section, key string, v Value)
	section string

	key    string // of the current assignment, which may be continued; "" when there is none
	values []string
	start  int // line number of key
}

// parse calls assign for each assignment in text, in order, and without a key for each
// section header. It fails with a *ParseError at the first invalid line.
func parse(file, text string, assign func(section, key string, v Value)) error {
	p := parser{file: file, assign: assign}
	// Python reads text files with universal newlines.
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	if !utf8.ValidString(text) {
		before := text[:firstInvalid(text)]
		return &ParseError{File: file, Line: strings.Count(before, "\n") + 1, Msg: "the file is not UTF-8"}
	}
	if strings.HasPrefix(text, "\uFEFF") { // or the first line would look right, and not be
		return &ParseError{File: file, Line: 1, Msg: "the file begins with a byte order mark: save it as UTF-8 without one"}
	}
	for line := range strings.SplitSeq(text, "\n") {
		p.line++
		if err := p.next(strings.TrimRightFunc(line, isSpace)); err != nil {
			return err
		}
	}
	p.flush()
	return nil
}

// next parses a line without its trailing white space.
func (p *parser) next(line string) error {
	if line != "" && (line[0] == ' ' || line[0] == '\t') {
		if p.key == "" {
			return p.errorf("an indented line continues the value above it, and there is none")
		}
		p.values = append(p.values, strings.TrimLeftFunc(line, isSpace))
		return nil
	}
	p.flush()
	switch {
	case line == "" || line[0] == '#' || line[0] == ';':
		return nil
	case line[0] == '[':
		return p.header(line)
	default:
		return p.assignment(line)
	}
}

func (p *parser) header(line string) error {
	if !strings.HasSuffix(line, "]") {
		return p.errorf("a section header must end with ]")
	}
	if len(line) <= 2 {
		return p.errorf("a section needs a name")
	}
	p.section = line[1 : len(line)-1]
	p.assign(p.section, "", Value{File: p.file, Line: p.line})
	return nil
}

func (p *parser) assignment(line string) error {
	at := strings.IndexAny(line, ":=")
	if at < 0 {
		return p.errorf("neither a section, a comment nor an assignment: no = or : in the line")
	}
	key := strings.TrimFunc(line[:at], isSpace)
	if key == "" {
		return p.errorf("an assignment needs a name before the %c", line[at])
	}
	if p.section == "" {
		return p.errorf("%s is set before any section: put [DEFAULT] above it", key)
	}
	p.key, p.values, p.start = key, []string{unquote(strings.TrimFunc(line[at+1:], isSpace))}, p.line
	return nil
}

// flush ends the current assignment.
func (p *parser) flush() {
	if p.key != "" {
		p.assign(p.section, p.key, Value{Text: strings.Join(p.values, "\n"), File: p.file, Line: p.start})
	}
	p.key, p.values = "", nil
}

// errorf never quotes the line: it may contain a password.
func (p *parser) errorf(format string, args ...any) error {
	return &ParseError{File: p.file, Line: p.line, Msg: fmt.Sprintf(format, args...)}
}

// unquote strips a pair of equal quotes. A lone quote counts as a pair, as in the
// Python library.
func unquote(s string) string {
	if s == "" || s[0] != '"' && s[0] != '\'' || s[len(s)-1] != s[0] {
		return s
	}
	return s[1:max(1, len(s)-1)]
}

// isSpace is Python's str.isspace: Unicode's white space and four control characters.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

func firstInvalid(s string) int {
	for i, r := range s {
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD") {
			return i
		}
	}
	return len(s)
}
