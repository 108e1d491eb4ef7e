package config

import (
	"time"

	"stoker/internal/dsn"
)

// Pool is how the connections to a database are kept: [database]. SQLite has no
// use for it.
type Pool struct {
	Size          int           // max_pool_size: connections kept; 0 is no limit
	Overflow      int           // max_overflow: connections beyond them; -1 is no limit
	Recycle       time.Duration // connection_recycle_time; 0 is never
	Timeout       time.Duration // pool_timeout
	Retries       int           // max_retries, at start; -1 is no limit
	RetryInterval time.Duration // retry_interval
	WsrepSyncWait int           // mysql_wsrep_sync_wait; 0 leaves the server's
}

const groupDatabase = "database"

func databaseOptions() []option[Config] {
	at := func(name, def, help string, old ...string) option[Config] {
		return option[Config]{group: groupDatabase, name: name, def: def, help: help, old: old}
	}
	return []option[Config]{
		url(at("connection", "sqlite:///$state_path/cinder.sqlite",
			"The database, as a SQLAlchemy URL: mysql+pymysql://USER:PASSWORD@HOST/NAME, postgresql://USER:PASSWORD@HOST/NAME, "+
				"sqlite:////absolute/path, or sqlite:///path from the working directory.", "database.sql_connection", "DEFAULT.sql_connection", "sql.connection"),
			"a SQLAlchemy URL of a database that Stoker speaks (mysql, postgresql, sqlite)", validDatabase,
			func(c *Config) *URL { return &c.Database }),
		integer(at("max_pool_size", "5", "How many connections to keep open. 0: without limit. "+
			"With max_overflow it bounds how many statements the process has running at once."), 0, maxCount,
			func(c *Config) *int { return &c.Pool.Size }),
		integer(at("max_overflow", "50", "How many connections there may be beyond max_pool_size for a moment. -1: without limit.",
			"DEFAULT.sql_max_overflow", "database.sqlalchemy_max_overflow"), -1, maxCount,
			func(c *Config) *int { return &c.Pool.Overflow }),
		periodOrNever(at("connection_recycle_time", "3600", "A connection older than this is made anew before it is used. 0 or -1: never.", "DEFAULT.idle_timeout"),
			func(c *Config) *time.Duration { return &c.Pool.Recycle }),
		period(at("pool_timeout", "30", "How long to wait for a connection while all are in use.", "database.sqlalchemy_pool_timeout"),
			func(c *Config) *time.Duration { return &c.Pool.Timeout }),
		integer(at("max_retries", "10", "How often to try again to reach the database when the process starts. -1: until it is stopped.",
			"DEFAULT.sql_max_retries", "database.sql_max_retries"), -1, maxCount,
			func(c *Config) *int { return &c.Pool.Retries }),
		seconds(at("retry_interval", "10", "The time between two of these.", "DEFAULT.sql_retry_interval", "database.reconnect_interval"),
			func(c *Config) *time.Duration { return &c.Pool.RetryInterval }),
		integer(at("mysql_wsrep_sync_wait", "1", "On Galera: which statements wait until the node has caught up with the cluster, as its wsrep_sync_wait. "+
			"Cinder leaves it to the server unless it is set; ours makes reads wait (1), so that what one API acknowledged the next one shows."), 0, 15,
			func(c *Config) *int { return &c.Pool.WsrepSyncWait }),
	}
}

// validDatabase fails for a URL of no database that we speak.
func validDatabase(u URL) error {
	_, err := dsn.ParseDatabase(string(u))
	return err
}
