package store

import (
	"errors"

	"github.com/go-sql-driver/mysql"
)

// mysqlNumber is the number of an error that a server sent; 0 for any other.
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
	case 1213, // deadlock, and on Galera: another server's transaction was first
		3101,       // Group Replication: the same, told when it commits
		1205,       // waited too long for a lock, or for the cluster
		1020, 1412, // changed since it was read: a row, a table
		1637, // too many transactions at once
		3572: // locked, and asked not to wait
		return faultBusy
	case 1062, 1586: // duplicate key
		return faultDuplicate
	case 1406, 1264, 1265, 1292, // too long, out of range, cut off, no such time
		1300, 1366, 3854, 3988: // no text, or one with a character that the column's charset lacks
		return faultValue
	case 1049: // no such database
		return faultMissing
	case 1044, 1045, 1698, 1130, 1142, 1143, 1227: // who may connect, from where, and do what
		return faultRefused
	case 1290, 1792, 1836, 1874:
		return faultReadOnly
	case 1047, // Galera: not part of the cluster, or not ready
		1040, 1203, 1226, // too many connections, in all or of this user
		1053, 1077, 1078, 1079, 1080, // shutting down
		1317, 1969, 3024, 1927, 1970, // interrupted, took too long, connection killed
		1158, 1159, 1160, 1161, 1184, 1152, 1153, 1156, 1157, // packets that did not come through
		4031,       // idle for too long
		3098, 3100, // Group Replication: a table that it cannot replicate, a member that cannot commit
		1021, 1114, 1037, 1038, 1041, 1135, 1180, // disk, table, memory or threads are full; failed while it committed
		1016, 1017, 1023, 1024, 1026, 1030, 1033, 1034, 1035, 1194, 1195, 1877: // files and tables that are broken
		return faultLost
	default:
		if fromProxy(n) {
			return faultLost
		}
		return faultOther
	}
}

// fromProxy says whether a proxy made the error, of a server that it could not
// reach: ProxySQL has the numbers from 9000 on to itself, and proxies pass on
// what their own client library says, which counts from 2000.
func fromProxy(n uint16) bool {
	return n >= 9000 && n < 10000 || n >= 2000 && n < 3000
}
