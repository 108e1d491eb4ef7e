package config

import (
	"strings"
)

// URL is the address of a database or a message bus in the form of SQLAlchemy
// and oslo.messaging. It may hold a password: convert it to a string to use it,
// and print it as it is.
type URL string

// Scheme is the part before ://, "" when there is none.
func (u URL) Scheme() string {
	scheme, _, ok := strings.Cut(string(u), "://")
	if !ok {
		return ""
	}
	return scheme
}

// String is the URL without what may be secret: user, password and parameters.
// Of a URL that cannot be taken apart with certainty only the scheme is left.
func (u URL) String() string {
	s := string(u)
	if s == "" {
		return ""
	}
	scheme := u.Scheme()
	if scheme == "" {
		return "***"
	}
	rest := s[len(scheme)+len("://"):]
	at, query := strings.LastIndexByte(rest, '@'), strings.IndexByte(rest, '?')
	switch {
	case query >= 0 && at > query:
		return scheme + "://***" // an @ in a parameter, or a ? in a password
	case at >= 0:
		rest = "***" + rest[at:]
	case rest != "" && rest[0] != '/':
		return scheme + "://***" // a host, or a password whose @ was forgotten
	}
	if before, _, ok := strings.Cut(rest, "?"); ok {
		rest = before + "?***"
	}
	return scheme + "://" + rest
}

// GoString is String, for %#v.
func (u URL) GoString() string { return u.String() }

// MarshalText is String, for logs and JSON.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }
