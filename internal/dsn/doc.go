// Package dsn reads the two kinds of connection URL that a cinder.conf has:
// SQLAlchemy's of a database, and oslo.messaging's of a message bus. It opens
// nothing. Its errors never repeat a URL, which may hold a password.
package dsn
