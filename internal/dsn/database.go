package dsn

import (
	"net"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"stoker/internal/cinder"
)

// Engine is a database engine.
type Engine string

// Engines. MariaDB is MySQL here, as in a URL.
const (
	SQLite     Engine = "sqlite"
	MySQL      Engine = "mysql"
	PostgreSQL Engine = "postgresql"
)

// Database is a parsed database URL.
type Database struct {
	Engine   Engine
	User     string
	Password string
	Host     string // name or address, IPv6 without brackets; "" when not given
	Port     int    // 0 when not given
	Name     string // of the database; for SQLite the file's path, absolute or relative to the working directory
	Options  map[string][]string
}

// Option returns the last value of an option in the query; "" when there is none.
func (d Database) Option(name string) string {
	values := d.Options[name]
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// String names the database in messages to the operator: without user, password and
// options.
func (d Database) String() string {
	if d.Engine == SQLite {
		return d.Name
	}
	host := d.Host
	if d.Port != 0 {
		host = net.JoinHostPort(host, strconv.Itoa(d.Port))
	}
	return string(d.Engine) + "://" + host + "/" + d.Name
}

// GoString is String, to keep the password out of dumps.
func (d Database) GoString() string { return d.String() }

// ParseDatabase parses a database URL like SQLAlchemy 1.4:
// ENGINE[+DRIVER]://[USER[:PASSWORD]@][HOST[:PORT]][/NAME][?OPTION=VALUE&...]. User,
// password and options are percent-decoded, the name is not. The driver, a Python
// module, is ignored. Engines are sqlite, mysql (or mariadb) and postgresql.
//
// It refuses URLs that SQLAlchemy parses but no driver can use, or that SQLAlchemy
// parses into something nobody meant. Errors are KindInvalid and quote nothing after
// the engine.
func ParseDatabase(raw string) (Database, error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok || strings.IndexFunc(scheme, notInScheme) >= 0 {
		return Database{}, cinder.Errorf(cinder.KindInvalid,
			"the database connection is not a URL: it has to look like mysql+pymysql://user:password@host/cinder or sqlite:////absolute/path/of/a/file")
	}
	d := Database{}
	switch name, _, _ := strings.Cut(scheme, "+"); name {
	case "sqlite":
		d.Engine = SQLite
	case "mysql", "mariadb":
		d.Engine = MySQL
	case "postgresql":
		d.Engine = PostgreSQL
	case "postgres":
		return Database{}, cinder.Errorf(cinder.KindInvalid, "database engine %q is not supported: write postgresql", name)
	default:
		return Database{}, cinder.Errorf(cinder.KindInvalid, "database engine %q is not supported: use mysql, postgresql or sqlite", name)
	}
	rest = d.readUser(rest)
	rest = d.readHost(rest)
	rest, err := d.readPort(rest)
	if err != nil {
		return Database{}, err
	}
	if path, ok := strings.CutPrefix(rest, "/"); ok {
		d.Name, rest = cutBefore(path, "?")
	}
	if query, ok := strings.CutPrefix(rest, "?"); ok {
		query, _ = cutBefore(query, "\n")
		d.Options, rest = readQuery(query), ""
	}
	if err := d.check(rest); err != nil {
		return Database{}, err
	}
	return d, nil
}

// FileURL is the URL of the SQLite database in a file. KindInvalid when no URL can
// express the path: a ? in it starts the options, and cannot be escaped.
func FileURL(path string) (string, error) {
	raw := "sqlite:///" + path
	if d, err := ParseDatabase(raw); err != nil || d.Name != path {
		return "", cinder.Errorf(cinder.KindInvalid, "the path %q cannot be a database's: no URL can have it, as when it contains a ? or NUL", path)
	}
	return raw, nil
}

// notInScheme reports whether r is not allowed before the ://.
func notInScheme(r rune) bool {
	return r != '_' && r != '+' && !unicode.IsLetter(r) && !unicode.IsNumber(r)
}

// readUser parses user and password like SQLAlchemy: a user contains neither : nor /, a
// password no @, and anything else is allowed in both.
func (d *Database) readUser(rest string) string {
	before, after := cutBefore(rest, ":/")
	if password, ok := strings.CutPrefix(after, ":"); ok {
		if password, host, ok := strings.Cut(password, "@"); ok {
			d.User, d.Password = unquote(before), unquote(password)
			return host
		}
	}
	if i := strings.LastIndexByte(before, '@'); i >= 0 {
		d.User = unquote(before[:i])
		return rest[i+1:]
	}
	return rest
}

func (d *Database) readHost(rest string) string {
	if inside, ok := strings.CutPrefix(rest, "["); ok {
		inside, _ = cutBefore(inside, "/?")
		if i := strings.LastIndexByte(inside, ']'); i > 0 {
			d.Host = inside[:i]
			return rest[i+2:]
		}
	}
	d.Host, rest = cutBefore(rest, "/:?")
	return rest
}

func (d *Database) readPort(rest string) (string, error) {
	port, ok := strings.CutPrefix(rest, ":")
	if !ok {
		return rest, nil
	}
	port, rest = cutBefore(port, "/?")
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", cinder.Errorf(cinder.KindInvalid, "the port of the database connection is not a number from 1 to 65535")
	}
	d.Port = int(n)
	return rest, nil
}

// check validates the parsed URL; rest is its unparsed end.
func (d *Database) check(rest string) error {
	var wrong string
	switch {
	case strings.ContainsRune(d.User+d.Password+d.Host+d.Name, 0):
		wrong = "the database connection contains a NUL character"
	case d.Engine == SQLite && (d.Host != "" || d.User != "" || d.Password != "" || d.Port != 0):
		wrong = "an sqlite connection names no host: write sqlite:////absolute/path or sqlite:///relative/path"
	case d.Engine == SQLite && (d.Name == "" || d.Name == ":memory:"):
		wrong = "an sqlite connection has to name a file, as in sqlite:////absolute/path: databases in memory are not supported"
	case d.Engine == SQLite && strings.HasPrefix(d.Name, "file:"):
		wrong = "an sqlite connection has to name a file, as in sqlite:////absolute/path: file: URIs are not supported"
	case strings.ContainsAny(d.Host, "@[] \t\r\n") || rest != "":
		wrong = "the host of the database connection makes no sense: an @ in a password is written %40, an IPv6 address stands in brackets"
	case d.Name == "":
		wrong = "the database connection names no database: it has to look like " + string(d.Engine) + "://user:password@host/cinder"
	default:
		return nil
	}
	return cinder.Errorf(cinder.KindInvalid, "%s", wrong)
}

// readQuery parses options like Python's parse_qsl, which ignores those without a
// value.
func readQuery(query string) map[string][]string {
	options := map[string][]string{}
	for field := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(field, "=")
		if value == "" {
			continue
		}
		name = unquote(strings.ReplaceAll(name, "+", " "))
		options[name] = append(options[name], unquote(strings.ReplaceAll(value, "+", " ")))
	}
	return options
}

// unquote decodes %xx like Python: malformed sequences stay as they are, and invalid
// UTF-8 becomes U+FFFD.
func unquote(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return validUTF8(b.String())
}

// validUTF8 replaces each invalid byte by U+FFFD.
func validUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}

// cutBefore splits s before the first of the characters; before is all of s when there
// is none.
func cutBefore(s, characters string) (before, after string) {
	if i := strings.IndexAny(s, characters); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}
