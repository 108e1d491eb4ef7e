package store

import (
	"strings"

	"stoker/internal/cinder"
)

// target is what a connection URL names.
type target struct {
	engine string
	path   string // of a file engine: absolute, or relative to the working folder
}

// parseURL reads a database URL as SQLAlchemy writes it: sqlite:////absolute/path
// or sqlite:///relative/path, with an optional driver (sqlite+pysqlite) and
// query, which are ignored. As there, the path is taken literally: nothing in it
// is percent-decoded. Errors are KindInvalid and never repeat the URL, which may
// hold a password.
func parseURL(raw string) (target, error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return target{}, cinder.Errorf(cinder.KindInvalid,
			"the database connection is not a URL: it has to look like sqlite:////absolute/path/of/a/file")
	}
	engine, _, _ := strings.Cut(scheme, "+")
	if engine != "sqlite" {
		return target{}, cinder.Errorf(cinder.KindInvalid,
			"database engine %q is not supported: use sqlite, as in sqlite:////absolute/path/of/a/file", engine)
	}
	rest, _, _ = strings.Cut(rest, "?")
	path, ok := strings.CutPrefix(rest, "/")
	switch {
	case !ok && rest != "":
		return target{}, cinder.Errorf(cinder.KindInvalid,
			"an sqlite connection names no host: write sqlite:////absolute/path or sqlite:///relative/path")
	case path == "" || path == ":memory:":
		return target{}, cinder.Errorf(cinder.KindInvalid,
			"an sqlite connection has to name a file, as in sqlite:////absolute/path: databases in memory are not supported")
	case strings.HasPrefix(path, "file:"):
		return target{}, cinder.Errorf(cinder.KindInvalid,
			"an sqlite connection has to name a file, as in sqlite:////absolute/path: file: URIs are not supported")
	case strings.ContainsRune(path, 0):
		return target{}, cinder.Errorf(cinder.KindInvalid, "the path of the sqlite database contains a NUL character")
	}
	return target{engine: engine, path: path}, nil
}
