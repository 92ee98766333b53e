package sqlitestore

import (
	"errors"
	"fmt"
	"strings"
)

// Errors that a Store wraps around what the driver says. After each of them
// the outcome of a write is unknown, except where it is said that nothing was
// written.
var (
	// ErrBusy means that another process held the write lock for longer than
	// Config.BusyTimeout. Nothing was written.
	ErrBusy = errors.New("sqlitestore: another process holds the database's write lock")
	// ErrDiskFull means that the disk or a quota has no room. The store goes
	// on as soon as there is some.
	ErrDiskFull = errors.New("sqlitestore: no room left for the database; free disk space, nothing else needs to be done")
	// ErrCorrupt means that the file is damaged or is not a database. Restore
	// a backup; records made since then are unknown.
	ErrCorrupt = errors.New("sqlitestore: the database file is damaged; restore it from a backup")
	// ErrReadOnly means that the file or its directory cannot be written.
	ErrReadOnly = errors.New("sqlitestore: the database is read-only; check the owner and mode of the file and its directory")
	// ErrClosed means that Close was called. Nothing was written.
	ErrClosed = errors.New("sqlitestore: the store is closed")
	// ErrSchema means that the tables are not of this version of the package.
	ErrSchema = errors.New("sqlitestore: the schema is of another version")
)

// SQLite's primary result codes, https://www.sqlite.org/rescode.html.
const (
	codeBusy     = 5
	codeLocked   = 6
	codeReadOnly = 8
	codeIO       = 10
	codeCorrupt  = 11
	codeFull     = 13
	codeCantOpen = 14
	codeNotADB   = 26
)

// resultCode finds SQLite's primary result code in a driver's error. Drivers
// agree on nothing but the method's name, if that, and on SQLite's own words.
func resultCode(err error) int {
	if c, ok := errors.AsType[interface {
		error
		Code() int
	}](err); ok {
		return c.Code() & 0xff
	}
	msg := err.Error()
	for _, known := range []struct {
		code int
		text string
	}{
		{codeBusy, "database is locked"},
		{codeLocked, "database table is locked"},
		{codeIO, "disk I/O error"},
		{codeCantOpen, "unable to open database file"},
		{codeReadOnly, "attempt to write a readonly database"},
		{codeCorrupt, "database disk image is malformed"},
		{codeFull, "database or disk is full"},
		{codeNotADB, "file is not a database"},
	} {
		if strings.Contains(msg, known.text) {
			return known.code
		}
	}
	return 0
}

func busy(err error) bool {
	if err == nil {
		return false
	}
	code := resultCode(err)
	return code == codeBusy || code == codeLocked
}

// concernsAll reports whether err has to do with the database and not with the
// operation that met it.
func concernsAll(err error) bool {
	switch resultCode(err) {
	case codeBusy, codeLocked, codeReadOnly, codeIO, codeCorrupt, codeFull, codeCantOpen, codeNotADB:
		return true
	default:
		return false
	}
}

// explain wraps a driver's error with what to do about it.
func explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	var sentinel error
	switch resultCode(err) {
	case codeBusy, codeLocked:
		sentinel = ErrBusy
	case codeFull:
		sentinel = ErrDiskFull
	case codeCorrupt, codeNotADB:
		sentinel = ErrCorrupt
	case codeReadOnly:
		sentinel = ErrReadOnly
	default:
		return fmt.Errorf("sqlitestore: %s: %w", doing, err)
	}
	return fmt.Errorf("%w (%s: %w)", sentinel, doing, err)
}
