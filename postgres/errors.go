package postgres

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// Errors that a Store wraps around what the driver says. After each of them
// the outcome of a write is unknown, except where it is said that nothing was
// written.
var (
	// ErrSchema means that the tables are missing or not of this version of
	// the package. Run `onceward migrate` or Migrate; nothing was written.
	ErrSchema = errors.New("postgres: the schema is of another version")
	// ErrBusy means that more operations were waiting than Config.MaxPending,
	// for as long as the caller's context lasted. Nothing was written.
	ErrBusy = errors.New("postgres: too many operations are waiting for the database")
	// ErrReadOnly means that the server takes no writes, because it is a
	// standby. Use a DSN with every host and target_session_attrs=read-write.
	// Nothing was written.
	ErrReadOnly = errors.New("postgres: the server is read-only; name all hosts and target_session_attrs=read-write in the DSN")
	// ErrUnsure means that the server committed and then stopped waiting for
	// its standbys, or did not answer in time.
	ErrUnsure = errors.New("postgres: it is unknown whether the commit is durable")
	// ErrWritesLost means that writes which the server had acknowledged are
	// gone. Nothing is written until an operator acknowledges that, see
	// Store.Ready.
	ErrWritesLost = errors.New("postgres: acknowledged writes are lost")
	// ErrClosed means that Close was called. Nothing was written.
	ErrClosed = errors.New("postgres: the store is closed")
	// ErrNotHere means that the key's slot belongs to another group of a
	// Router. Nothing was written.
	ErrNotHere = errors.New("postgres: the key belongs to another database")
)

// SQLSTATE codes, https://www.postgresql.org/docs/current/errcodes-appendix.html.
const (
	codeDivisionByZero   = "22012"
	codeReadOnly         = "25006"
	codeUnknownSchema    = "3F000"
	codeSerialization    = "40001"
	codeDeadlock         = "40P01"
	codeDuplicateSchema  = "42P06"
	codeDuplicateTable   = "42P07"
	codeDuplicateObject  = "42710"
	codeUnknownTable     = "42P01"
	codeUniqueViolation  = "23505"
	codeLockNotAvailable = "55P03"
)

// codeOf returns the server's SQLSTATE, or "" when it is not its error.
func codeOf(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// fault says what an error of a transaction leaves to do.
type fault int

const (
	faultFinal      fault = iota // tell the callers
	faultAgain                   // rolled back, and worth another try
	faultConnection              // the outcome is unknown: ask again on another connection
	faultData                    // an operation's own doing, maybe
)

// classify judges an error of a transaction.
func classify(err error) fault {
	code := codeOf(err)
	switch {
	case code == "":
		return faultConnection // the driver's, not the server's
	case code == codeSerialization, code == codeDeadlock:
		return faultAgain
	case code[:2] == "08", code[:2] == "57", code == codeReadOnly:
		return faultConnection // broken, shut down, or not the primary any more
	case code[:2] == "22", code[:2] == "23", code[:2] == "54":
		return faultData
	default:
		return faultFinal
	}
}

// explain wraps a driver's error with what to do about it.
func explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	var sentinel error
	switch codeOf(err) {
	case codeReadOnly:
		sentinel = ErrReadOnly
	case codeUnknownTable, codeUnknownSchema:
		sentinel = fmt.Errorf("%w: the tables are missing; run `onceward migrate` or postgres.Migrate", ErrSchema)
	default:
		return fmt.Errorf("postgres: %s: %w", doing, err)
	}
	return fmt.Errorf("%w (%s: %w)", sentinel, doing, err)
}
