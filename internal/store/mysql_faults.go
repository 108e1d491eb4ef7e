package store

import (
	"errors"

	"github.com/go-sql-driver/mysql"
)

// mysqlNumber is the number of an error that a server sent; 0 for other errors.
func mysqlNumber(err error) uint16 {
	e, ok := errors.AsType[*mysql.MySQLError](err)
	if !ok {
		return 0
	}
	return e.Number
}

func (mysqlDialect) fault(err error) fault {
	switch n := mysqlNumber(err); n {
	case 0:
		if lostConnection(err) || errors.Is(err, mysql.ErrInvalidConn) {
			return faultLost
		}
		return faultOther
	case 1213, // deadlock; on Galera: another server's transaction came first
		3101,       // Group Replication: the same, reported at the commit
		1205,       // waited too long for a lock, or for the cluster
		1020, 1412, // changed since it was read: a row, a table
		1637, // too many concurrent transactions
		3572: // locked, with NOWAIT
		return faultBusy
	case 1062, 1586: // duplicate key
		return faultDuplicate
	case 1406, 1264, 1265, 1292, // too long, out of range, truncated, invalid time
		1300, 1366, 3854, 3988: // invalid text, or a character that the column's charset lacks
		return faultValue
	case 1049: // no such database
		return faultMissing
	case 1044, 1045, 1698, 1130, 1142, 1143, 1227: // connecting, the client's host, privileges
		return faultRefused
	case 1290, 1792, 1836, 1874:
		return faultReadOnly
	case 1047, // Galera: not part of the cluster, or not ready
		1040, 1203, 1226, // too many connections, in all or for this user
		1053, 1077, 1078, 1079, 1080, // shutting down
		1317, 1969, 3024, 1927, 1970, // interrupted, took too long, connection killed
		1158, 1159, 1160, 1161, 1184, 1152, 1153, 1156, 1157, // network errors
		4031,       // idle for too long
		3098, 3100, // Group Replication: a table that it cannot replicate, a member that cannot commit
		1021, 1114, 1037, 1038, 1041, 1135, 1180, // disk, table, memory or threads exhausted; error during the commit
		1016, 1017, 1023, 1024, 1026, 1030, 1033, 1034, 1035, 1194, 1195, 1877: // broken files and tables
		return faultLost
	default:
		if fromProxy(n) {
			return faultLost
		}
		return faultOther
	}
}

// fromProxy reports whether a proxy made the error, about a server that it could not
// reach. ProxySQL uses numbers from 9000, and proxies pass on the errors of their own
// client library, which start at 2000.
func fromProxy(n uint16) bool {
	return n >= 9000 && n < 10000 || n >= 2000 && n < 3000
}
