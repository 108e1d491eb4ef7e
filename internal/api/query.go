package api

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"stoker/internal/cinder"
)

// query is the query string of a request: the last value of each key, and the
// keys in the order in which they first occur.
type query struct {
	keys   []string
	values map[string]string
}

// parseQuery reads a query string as Cinder does: & and ; separate, + is a space,
// a key without = has the empty value, a % that begins no escape is a %
// (services.json, list/host=stor1@lvm&host=ctl1@3.0). Text that is not UTF-8 or holds
// U+0000 is KindInvalid.
func parseQuery(raw string) (query, error) {
	q := query{}
	for raw != "" {
		pair := raw
		if i := strings.IndexAny(raw, "&;"); i >= 0 {
			pair, raw = raw[:i], raw[i+1:]
		} else {
			raw = ""
		}
		if pair == "" {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		key, value = unescape(key), unescape(value)
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			return query{}, invalid(textUndecodable)
		}
		if strings.Contains(value, "\x00") {
			return query{}, invalidInput(key + " contains U+0000")
		}
		if q.values == nil {
			q.values = map[string]string{}
		}
		if _, again := q.values[key]; !again {
			q.keys = append(q.keys, key)
		}
		q.values[key] = value
	}
	return q, nil
}

func unescape(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b = append(b, ' ')
		case s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			n, _ := strconv.ParseUint(s[i+1:i+3], 16, 8)
			b = append(b, byte(n))
			i += 2
		default:
			b = append(b, s[i])
		}
	}
	return string(b)
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// text is the value of key; nil when the query does not name it.
func (q query) text(key string) *string {
	if v, ok := q.values[key]; ok {
		return &v
	}
	return nil
}

// name is the value of a key for which the empty value means the same as none
// (as for a host, but not for a binary).
func (q query) name(key string) *string {
	if v := q.values[key]; v != "" {
		return &v
	}
	return nil
}

// flag is the value of key as a boolean, in any of the spellings that Cinder
// takes; KindInvalid for others (services.json, clusters/list?is_up=zap@3.26).
func (q query) flag(key string) (*bool, error) {
	v, ok := q.values[key]
	if !ok {
		return nil, nil
	}
	var yes bool
	switch strings.ToLower(v) {
	case "1", "t", "true", "on", "y", "yes":
		yes = true
	case "0", "f", "false", "off", "n", "no":
	default:
		return nil, cinder.Errorf(cinder.KindInvalid, "Value '%s' for '%s' is not a boolean.", v, key)
	}
	return &yes, nil
}

// count is the value of key as a number; KindInvalid when it is none
// (services.json, clusters/list?num_hosts=x@3.26).
func (q query) count(key string) (*int, error) {
	v, ok := q.values[key]
	if !ok {
		return nil, nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(v))
	if err != nil {
		return nil, cinder.Errorf(cinder.KindInvalid, "Value '%s' for '%s' is not a number.", v, key)
	}
	return &n, nil
}
