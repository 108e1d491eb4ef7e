package dsn

import (
	"maps"
	"slices"
	"strings"
)

// Options are the query options that we support for an engine.
func Options(e Engine) []string {
	switch e {
	case MySQL:
		return []string{
			"unix_socket", "connect_timeout", "read_default_file", "read_default_group",
			"ssl_ca", "ssl_capath", "ssl_cert", "ssl_key", "ssl_check_hostname", "ssl_verify_cert", "ssl_verify_identity", "ssl_disabled", "ssl_mode",
		}
	case PostgreSQL:
		return []string{
			"sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslsni", "sslnegotiation", "channel_binding", "require_auth",
			"passfile", "service", "servicefile", "connect_timeout", "application_name", "options", "target_session_attrs",
			"krbsrvname", "min_protocol_version", "max_protocol_version", "host", "port",
		}
	default:
		return nil
	}
}

// pythons are options that matter only in Python: its conversion of bytes to text, and
// SQLAlchemy's plugins.
func pythons() []string {
	return []string{"charset", "use_unicode", "binary_prefix", "client_encoding", "plugin"}
}

// Unfollowed returns the unsupported options of the query, sorted, without those that
// matter only in Python. Names that do not look like an option are left out: they may
// be part of a password.
func (d Database) Unfollowed() []string {
	known := append(Options(d.Engine), pythons()...)
	return slices.DeleteFunc(slices.Sorted(maps.Keys(d.Options)), func(name string) bool {
		return slices.Contains(known, name) || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != ""
	})
}
