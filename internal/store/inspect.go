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

// inspect says, in one line, why there cannot be a database in that place. A file
// that does not exist yet is fine where one can be made.
func (d sqliteDialect) inspect() (exists bool, err error) {
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

// create makes an empty file when there is none: SQLite itself would let every
// user of the machine read it. Its owner alone may, and the group where the folder
// hands its own down (setgid). SQLite gives the files beside it, -wal and -shm, the
// same mode.
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
	return f.Close() // it is new: no connection has a lock on it that would go with this
}

// access is the file's mode, and whether users besides its owner and group can
// get at it. An administrator may have set it so: it is reported, not changed.
func (d sqliteDialect) access() (mode fs.FileMode, exposed bool) {
	file, err := os.Stat(d.path)
	if err != nil {
		return 0, false
	}
	mode = file.Mode().Perm()
	folder, err := os.Stat(filepath.Dir(d.path))
	return mode, mode&0o007 != 0 && (err != nil || folder.Mode()&0o001 != 0)
}

// look says why the file cannot be our database, before anything is written to it:
// to open a file for writing marks it as ours.
func (d sqliteDialect) look(ctx context.Context) (err error) {
	db, err := d.open(1, d.reading())
	if err != nil {
		return err
	}
	defer func() { err = firstError(err, db.Close()) }()
	return belongs(ctx, d, db, d.refuse)
}

// belongs says, by refuse, why a database cannot be ours.
func belongs(ctx context.Context, d dialect, q querier, refuse func(string, ...any) error) error {
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

// explain turns what the driver says of the file into words.
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
		// SQLite does not say why; the system does. Nothing of ours has the
		// file open here whose locks would go with the handle.
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

// reason is an error of the system without the path, on one line.
func reason(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

// some names the first few.
func some(tables []string) string {
	if len(tables) > 3 {
		return strings.Join(tables[:3], ", ") + ", ..."
	}
	return strings.Join(tables, ", ")
}
