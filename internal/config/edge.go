package config

// Edge is how the API meets its clients: TLS, proxies, browsers and limits.
type Edge struct {
	UseSSL   bool   // [DEFAULT] osapi_volume_use_ssl
	CertFile string // [ssl] cert_file
	KeyFile  string // [ssl] key_file
	CAFile   string // [ssl] ca_file: whose client certificates are asked for; "" is nobody's

	ProxyHeaders bool // [oslo_middleware] enable_proxy_headers_parsing
	MaxBody      int  // [oslo_middleware] max_request_body_size, in bytes

	CORS     CORS
	MoreCORS []CORS // of the sections [cors.NAME], by name

	Rate  float64 // [stoker] rate_limit: changes and lists per second and caller; 0 is no limit
	Burst int     // [stoker] rate_limit_burst
	Keys  int     // [stoker] idempotency_keys_per_caller
}

// maxBody bounds max_request_body_size: no request of this API is long.
const maxBody = 16 << 20

func edgeOptions() []option[Config] {
	at := func(group, name, def, help string, old ...string) option[Config] {
		return option[Config]{group: group, name: name, def: def, help: help, api: true, old: old}
	}
	const (
		ssl        = "ssl"
		middleware = "oslo_middleware"
	)
	return []option[Config]{
		path(at(ssl, "cert_file", "", "The certificate of the API, in PEM, with those that lead to its root. Read again when it changes.", "DEFAULT.ssl_cert_file"),
			func(c *Config) *string { return &c.Edge.CertFile }),
		path(at(ssl, "key_file", "", "Its key.", "DEFAULT.ssl_key_file"), func(c *Config) *string { return &c.Edge.KeyFile }),
		path(at(ssl, "ca_file", "", "Clients must show a certificate that these vouch for. Empty: none is asked for.", "DEFAULT.ssl_ca_file"),
			func(c *Config) *string { return &c.Edge.CAFile }),

		boolean(at(middleware, "enable_proxy_headers_parsing", "false", "Believe X-Forwarded-* and Forwarded. Only behind a proxy that sets them."),
			func(c *Config) *bool { return &c.Edge.ProxyHeaders }),
		integer(at(middleware, "max_request_body_size", "114688", "How many bytes the body of a request may have.",
			"DEFAULT.osapi_max_request_body_size", "DEFAULT.max_request_body_size"), 1, maxBody,
			func(c *Config) *int { return &c.Edge.MaxBody }),
	}
}

func (v *validator) edge() {
	e := v.c.Edge
	if e.UseSSL && e.CertFile == "" {
		v.rule("ssl", "cert_file", "is needed with osapi_volume_use_ssl")
	}
	if e.UseSSL && e.KeyFile == "" {
		v.rule("ssl", "key_file", "is needed with osapi_volume_use_ssl")
	}
}
