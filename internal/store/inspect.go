package store

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"stoker/internal/cinder"
)

// checkPath returns an error of one line when there can be no database at the path. A
// file that does not exist is fine where it can be created.
func (d sqliteDialect) checkPath() (exists bool, err error) {
	info, err := os.Stat(d.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		folder := filepath.Dir(d.path)
		if info, err := os.Stat(folder); err != nil || !info.IsDir() {
			return false, d.refuse("there is no folder %s", folder)
		}
		return false, nil
	case err != nil:
		return false, d.refuse("%s", reason(err))
	case info.IsDir():
		return false, d.refuse("is a folder")
	case !info.Mode().IsRegular():
		return false, d.refuse("is not a regular file")
	}
	return true, nil
}

// create creates an empty file when there is none: SQLite itself would make it readable
// to every user of the machine. Only its owner may read it, and the group where the
// folder passes its own on (setgid). SQLite gives the -wal and -shm files the same
// mode.
func (d sqliteDialect) create() error {
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(filepath.Dir(d.path)); err == nil && info.Mode()&fs.ModeSetgid != 0 {
		mode = 0o640
	}
	f, err := os.OpenFile(d.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return cinder.Errorf(cinder.KindUnavailable, "database file %s: cannot be made: %s", d.path, reason(err))
	}
	return f.Close() // new, so there are no locks on it that closing would drop
}

// access returns the file's mode, and whether users besides its owner and group can
// access it. It is reported, not changed: an administrator may have meant it.
func (d sqliteDialect) access() (mode fs.FileMode, exposed bool) {
	file, err := os.Stat(d.path)
	if err != nil {
		return 0, false
	}
	mode = file.Mode().Perm()
	folder, err := os.Stat(filepath.Dir(d.path))
	return mode, mode&0o007 != 0 && (err != nil || folder.Mode()&0o001 != 0)
}

// checkFile returns an error when the file cannot be our database. It opens the file
// read-only, since opening it for writing would modify it.
func (d sqliteDialect) checkFile(ctx context.Context) (err error) {
	db, err := d.open(1, d.reading())
	if err != nil {
		return err
	}
	defer func() { err = firstError(err, db.Close()) }()
	return checkSchema(ctx, d, db, d.refuse)
}

// checkSchema returns an error, made by refuse, when the database cannot be ours.
func checkSchema(ctx context.Context, d dialect, q querier, refuse func(string, ...any) error) error {
	tables, err := d.tables(ctx, q)
	if err != nil || len(tables) == 0 {
		return err
	}
	for _, table := range []struct {
		name   string
		needed []string
	}{{"services", neededServiceColumns()}, {"clusters", neededClusterColumns()}} {
		if !slices.Contains(tables, table.name) {
			continue
		}
		have, err := d.columns(ctx, q, table.name)
		if err != nil {
			return err
		}
		for _, column := range table.needed {
			if !slices.Contains(have, column) {
				return refuse("belongs to another program, or to a Cinder that is too old: its table %s has no column %s", table.name, column)
			}
		}
	}
	if !slices.Contains(tables, "services") && !slices.Contains(tables, versionTable) {
		return refuse("belongs to another program: it has tables (%s), but neither Cinder's nor ours", some(tables))
	}
	return nil
}

// explain turns the driver's error into a message for the operator.
func (d sqliteDialect) explain(err error) error {
	if _, ok := errors.AsType[*cinder.Error](err); ok {
		return err
	}
	var code int
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		code = e.Code() & 0xff
	}
	switch code {
	case sqlite3.SQLITE_NOTADB:
		return d.refuse("is not an SQLite database")
	case sqlite3.SQLITE_CORRUPT:
		return d.refuse("is damaged")
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return cinder.Errorf(cinder.KindUnavailable, "database file %s: is locked by another program", d.path)
	case sqlite3.SQLITE_READONLY:
		return d.refuse("cannot be written to")
	case sqlite3.SQLITE_CANTOPEN:
		// SQLite does not say why; the system does. Closing the handle drops the
		// process's locks on the file, but there are none: SQLite has not opened it.
		f, err := os.OpenFile(d.path, os.O_RDWR, 0)
		if err != nil {
			return d.refuse("cannot be opened: %s", reason(err))
		}
		_ = f.Close()
		return d.refuse("cannot be opened")
	default:
		return cinder.Errorf(cinder.KindUnavailable, "database file %s: %s", d.path, reason(err))
	}
}

func (d sqliteDialect) refuse(format string, args ...any) error {
	return cinder.Errorf(cinder.KindInvalid, "database file %s: "+format, append([]any{d.path}, args...)...)
}

// reason is the text of an error on one line, without the path.
func reason(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

// some lists the first few.
func some(tables []string) string {
	if len(tables) > 3 {
		return strings.Join(tables[:3], ", ") + ", ..."
	}
	return strings.Join(tables, ", ")
}
