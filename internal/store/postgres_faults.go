package store

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

// fault reads SQLSTATE: five characters of which the first two are the class.
func (postgresDialect) fault(err error) fault {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		if lostConnection(err) || pgconn.SafeToRetry(err) {
			return faultLost
		}
		return faultOther
	}
	switch e.Code {
	case "40001", "40P01", "55P03": // changed since it was read, deadlock, waited too long for a lock
		return faultBusy
	case "23505": // duplicate key
		return faultDuplicate
	case "22001", "22003", "22021", "22P05", "22007", "22008": // too long, out of range, no such character, no such time
		return faultValue
	case "3D000": // no such database
		return faultMissing
	case "42501": // not granted
		return faultRefused
	case "25006":
		return faultReadOnly
	case "25P03", "25P04", // idle in a transaction, or at it, for too long
		"40003", // not known whether it was completed
		"57014": // cancelled, or took too long
		return faultLost
	}
	switch e.Code[:min(2, len(e.Code))] {
	case "28": // who may connect
		return faultRefused
	case "08", "53", "57", "58", "F0", "XX": // connection, out of something, operator, system, files, internal
		return faultLost
	default:
		return faultOther
	}
}
