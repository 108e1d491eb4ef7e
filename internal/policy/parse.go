package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// parseRule parses a rule from a file: text in the language, or the older list of
// lists. It never fails: what it cannot understand becomes a check that fails or cannot
// be evaluated (see problems).
func parseRule(rule any) check {
	switch v := rule.(type) {
	case string:
		return parseText(v)
	case nil:
		return constant(true)
	case []any:
		return parseList(v)
	case map[string]any: // Python iterates over its keys
		if len(v) == 0 {
			return constant(true)
		}
		return parseList(names(v))
	}
	return unusable{fmt.Sprint(rule), fmt.Sprintf("%v is no rule: it must be a text or a list", rule)}
}

// names returns the keys of a mapping, as Python's list() does.
func names(m map[string]any) []any {
	list := make([]any, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		list = append(list, name)
	}
	return list
}

// parseList parses the older syntax: the outer list is "or", the inner ones are "and".
func parseList(list []any) check {
	if len(list) == 0 {
		return constant(true)
	}
	var or anyOf
	for _, item := range list {
		var inner []any
		switch v := item.(type) {
		case nil:
			continue
		case string:
			if v == "" {
				continue
			}
			inner = []any{v}
		case []any:
			if len(v) == 0 {
				continue
			}
			inner = v
		case map[string]any:
			if len(v) == 0 {
				continue
			}
			inner = names(v)
		default:
			return unusable{fmt.Sprint(list), fmt.Sprintf("%v is no check", item)}
		}
		and := make(allOf, len(inner))
		for i, text := range inner {
			s, ok := text.(string)
			if !ok {
				and[i] = unreadable{fmt.Sprint(text), fmt.Sprintf("%v is no check", text)}
				continue
			}
			and[i] = parseCheck(s)
		}
		if len(and) == 1 {
			or = append(or, and[0])
		} else {
			or = append(or, and)
		}
	}
	switch len(or) {
	case 0:
		return unreadable{"!", "a list of nothing lets nobody in"}
	case 1:
		return or[0]
	}
	return or
}

// parseCheck parses one check: @, !, or KIND:MATCH.
func parseCheck(text string) check {
	if text == "!" || text == "@" {
		return constant(text == "@")
	}
	kind, match, ok := strings.Cut(text, ":")
	if !ok {
		return unreadable{text, fmt.Sprintf("%s is no check: it must be KIND:MATCH, @ or !", text)}
	}
	switch kind {
	case "rule":
		return ruleCheck(match)
	case "role":
		return roleCheck{parseTemplate(match)}
	case "http", "https":
		return remoteCheck{scheme: kind, match: match, url: parseTemplate(text)}
	}
	c := attributeCheck{kind: kind, match: parseTemplate(match)}
	value, isLiteral, err := literal(kind)
	switch {
	case err != nil:
		c.wrong = err.Error()
	case isLiteral:
		c.literal = &value
	default:
		c.path = strings.Split(kind, ".")
	}
	return c
}

// token is a word of a rule, or what words have been reduced to.
type token struct {
	kind  tokenKind
	check check // of the last three kinds
	text  string
}

type tokenKind byte

const (
	open tokenKind = iota
	shut
	andWord
	orWord
	notWord
	quotedWord
	oneCheck
	andExpr
	orExpr
)

// isSpace is Python's str.isspace, which includes some control characters.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// tokens splits a rule into words. Parentheses count only at the start and end of a
// word: those of %(name)s are inside.
func tokens(rule string) []token {
	var found []token
	for _, word := range strings.FieldsFunc(rule, isSpace) {
		clean := strings.TrimLeft(word, "(")
		for range len(word) - len(clean) {
			found = append(found, token{kind: open, text: "("})
		}
		word, clean = clean, strings.TrimRight(clean, ")")
		switch strings.ToLower(clean) {
		case "":
		case "and":
			found = append(found, token{kind: andWord, text: clean})
		case "or":
			found = append(found, token{kind: orWord, text: clean})
		case "not":
			found = append(found, token{kind: notWord, text: clean})
		default:
			if first, last := word[0], word[len(word)-1]; len(word) >= 2 && first == last && (first == '"' || first == '\'') {
				found = append(found, token{kind: quotedWord, text: word})
			} else {
				found = append(found, token{kind: oneCheck, check: parseCheck(clean)})
			}
		}
		for range len(word) - len(clean) {
			found = append(found, token{kind: shut, text: ")"})
		}
	}
	return found
}

// parseText parses the language with a stack: it pushes each word, and reduces the top
// while it can.
func parseText(rule string) check {
	if rule == "" {
		return constant(true)
	}
	var stack []token
	for _, t := range tokens(rule) {
		stack = append(stack, t)
		for {
			reduced, ok := reduce(stack)
			if !ok {
				break
			}
			stack = reduced
		}
	}
	switch {
	case len(stack) != 1:
		return unreadable{rule, "it cannot be parsed: an operator or a parenthesis is missing or too many"}
	case stack[0].check == nil:
		return unusable{rule, fmt.Sprintf("%s alone is no check", stack[0].text)}
	}
	return stack[0].check
}

// reduce replaces the top of the stack by what it means, if it can be reduced.
func reduce(stack []token) (reduced []token, ok bool) {
	n := len(stack)
	if n >= 2 && stack[n-2].kind == notWord && stack[n-1].kind == oneCheck {
		return append(stack[:n-2], token{kind: oneCheck, check: not{stack[n-1].check}}), true
	}
	if n < 3 {
		return nil, false
	}
	a, b, c := stack[n-3], stack[n-2], stack[n-1]
	var t token
	switch {
	case a.kind == open && b.check != nil && c.kind == shut:
		t = token{kind: oneCheck, check: b.check}
	case c.kind != oneCheck || a.check == nil:
		return nil, false
	case b.kind == andWord && a.kind == orExpr: // A or B and C
		or := a.check.(anyOf)
		last := len(or) - 1
		if and, is := or[last].(allOf); is {
			or[last] = append(and, c.check)
		} else {
			or[last] = allOf{or[last], c.check}
		}
		t = token{kind: orExpr, check: or}
	case b.kind == andWord && a.kind == andExpr:
		t = token{kind: andExpr, check: append(a.check.(allOf), c.check)}
	case b.kind == andWord:
		t = token{kind: andExpr, check: allOf{a.check, c.check}}
	case b.kind == orWord && a.kind == orExpr:
		t = token{kind: orExpr, check: append(a.check.(anyOf), c.check)}
	case b.kind == orWord:
		t = token{kind: orExpr, check: anyOf{a.check, c.check}}
	default:
		return nil, false
	}
	return append(stack[:n-3], t), true
}

// problems lists what will not work as intended in a parsed rule.
func problems(c check) []string {
	switch v := c.(type) {
	case unreadable:
		return []string{v.why}
	case unusable:
		return []string{v.why}
	case attributeCheck:
		if v.wrong != "" {
			return []string{v.wrong}
		}
	case not:
		return problems(v.check)
	case allOf:
		return problemsOf(v)
	case anyOf:
		return problemsOf(v)
	}
	return nil
}

func problemsOf(checks []check) []string {
	var found []string
	for _, c := range checks {
		found = append(found, problems(c)...)
	}
	return found
}
