package store

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

// fault classifies a SQLSTATE: five characters, of which the first two are the class.
func (postgresDialect) fault(err error) fault {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		if lostConnection(err) || pgconn.SafeToRetry(err) {
			return faultLost
		}
		return faultOther
	}
	switch e.Code {
	case "40001", "40P01", "55P03": // changed since it was read, deadlock, lock timeout
		return faultBusy
	case "23505": // duplicate key
		return faultDuplicate
	case "22001", "22003", "22021", "22P05", "22007", "22008": // too long, out of range, invalid character, invalid time
		return faultValue
	case "3D000": // no such database
		return faultMissing
	case "42501": // no privilege
		return faultRefused
	case "25006":
		return faultReadOnly
	case "25P03", "25P04", // idle in a transaction, or running one, for too long
		"40003", // completion unknown
		"57014": // cancelled, or timed out
		return faultLost
	}
	switch e.Code[:min(2, len(e.Code))] {
	case "28": // invalid authorization
		return faultRefused
	case "08", "53", "57", "58", "F0", "XX": // connection, resources exhausted, operator intervention, system, files, internal
		return faultLost
	default:
		return faultOther
	}
}
