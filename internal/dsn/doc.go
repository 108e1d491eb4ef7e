// Package dsn parses the two kinds of connection URL in a cinder.conf: SQLAlchemy's for
// a database, and oslo.messaging's for a message bus. It opens no connections. Errors
// never quote a URL, which may contain a password.
package dsn
