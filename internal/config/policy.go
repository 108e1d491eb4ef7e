package config

// Policy is [oslo_policy]: who may do what.
type Policy struct {
	File               string   // policy_file, as written: see Config.Find
	Dirs               []string // policy_dirs, as written
	DefaultRule        string   // policy_default_rule
	EnforceScope       bool
	EnforceNewDefaults bool

	RemoteContentType string // of http: and https: checks
	RemoteVerify      bool   // remote_ssl_verify_server_crt
	RemoteCAFile      string // remote_ssl_ca_crt_file
	RemoteCertFile    string // remote_ssl_client_crt_file
	RemoteKeyFile     string // remote_ssl_client_key_file
}

const groupPolicy = "oslo_policy"

func policyOptions() []option[Config] {
	at := func(name, def, help string, old ...string) option[Config] {
		return option[Config]{group: groupPolicy, name: name, def: def, help: help, api: true, old: old}
	}
	const where = " A relative name is looked for beside the configuration files, the last first, and in /etc/cinder."
	dirs := lines(at("policy_dirs", "policy.d", "A directory of further rules, its files read in order of their names. May be repeated."+where, "DEFAULT.policy_dirs"),
		func(c *Config) *[]string { return &c.Policy.Dirs })
	return []option[Config]{
		path(at("policy_file", "policy.yaml", "The file of the rules that differ from the defaults, in YAML or JSON. It need not be there; empty: none ever. With noauth it counts as well."+where, "DEFAULT.policy_file"),
			func(c *Config) *string { return &c.Policy.File }),
		dirs,
		text(at("policy_default_rule", "default", "The rule that counts where a rule is not there.", "DEFAULT.policy_default_rule"),
			"the name of a rule", func(s string) bool { return s != "" }, func(c *Config) *string { return &c.Policy.DefaultRule }),
		boolean(at("enforce_scope", "false", "Whether a token of another scope than a rule's is refused."), func(c *Config) *bool { return &c.Policy.EnforceScope }),
		boolean(at("enforce_new_defaults", "false", "Whether only the newer of Cinder's default rules count."), func(c *Config) *bool { return &c.Policy.EnforceNewDefaults }),
		choice(at("remote_content_type", "application/x-www-form-urlencoded", "How the checks http: and https: ask."),
			func(c *Config) *string { return &c.Policy.RemoteContentType }, "application/x-www-form-urlencoded", "application/json"),
		boolean(at("remote_ssl_verify_server_crt", "false", "Whether the check https: looks at the server's certificate."), func(c *Config) *bool { return &c.Policy.RemoteVerify }),
		path(at("remote_ssl_ca_crt_file", "", "Whom it trusts then: certificates in PEM. Empty: whom the system trusts."), func(c *Config) *string { return &c.Policy.RemoteCAFile }),
		path(at("remote_ssl_client_crt_file", "", "The certificate it shows, in PEM."), func(c *Config) *string { return &c.Policy.RemoteCertFile }),
		path(at("remote_ssl_client_key_file", "", "Its key."), func(c *Config) *string { return &c.Policy.RemoteKeyFile }),
	}
}
