package config

import (
	"strings"
	"time"
)

// Authtoken is [keystone_authtoken]: how tokens are validated.
type Authtoken struct {
	Section string // auth_section: where the options of the plugin are; "" is here

	// The plugin: how we log in to Keystone ourselves.
	Type          string // auth_type: password, v3password or v3applicationcredential
	URL           string // auth_url
	SystemScope   string
	DomainID      string
	DomainName    string
	ProjectID     string
	ProjectName   string
	ProjectDomain Domain
	TrustID       string
	DefaultDomain Domain
	UserID        string
	Username      string
	UserDomain    Domain
	Password      Secret

	CredentialID     string // application_credential_id
	CredentialName   string // application_credential_name
	CredentialSecret Secret // application_credential_secret

	WWWAuthenticateURI string // www_authenticate_uri; "" is auth_url
	Interface          string
	Region             string // region_name
	CAFile             string
	CertFile           string
	KeyFile            string
	Insecure           bool
	ConnectTimeout     time.Duration // http_connect_timeout; 0 is not set
	Retries            int           // http_request_max_retries
	CacheTime          time.Duration // token_cache_time; 0 is no cache
	ServiceType        string        // service_type; "" refuses access rules
	ServiceRoles       []string      // service_token_roles
	ServiceRequired    bool          // service_token_roles_required
}

// Domain names a domain by one of the two.
type Domain struct{ ID, Name string }

// Application says whether the plugin is that of application credentials.
func (a Authtoken) Application() bool { return a.Type == authApplication }

// The values of auth_type.
const (
	authPassword    = "password"
	authPasswordV3  = "v3password"
	authApplication = "v3applicationcredential"
)

const groupAuthtoken = "keystone_authtoken"

func authtokenOptions() []option[Config] {
	at := func(name, def, help string, old ...string) option[Config] {
		return option[Config]{group: groupAuthtoken, name: name, def: def, help: help, api: true, old: old}
	}
	return append(append([]option[Config]{
		word(at("auth_section", "", "The section that says how Stoker logs in to Keystone itself (auth_type and what follows it here, up to application_credential_secret). Empty: this one."),
			func(c *Config) *string { return &c.Authtoken.Section }),
	}, pluginOptions()...),
		text(at("www_authenticate_uri", "", "Where a client without a token is sent for one. Empty: auth_url.", groupAuthtoken+".auth_uri"),
			"an http or https URL, or empty", optionalHTTP, func(c *Config) *string { return &c.Authtoken.WWWAuthenticateURI }),
		endpointInterface(at("interface", "internal", "Which of Keystone's endpoints of the catalog to use when auth_url is not enough. The old names internalURL, publicURL and adminURL do as well."),
			func(c *Config) *string { return &c.Authtoken.Interface }),
		word(at("region_name", "", "The region whose Keystone to use. Empty: any."), func(c *Config) *string { return &c.Authtoken.Region }),
		path(at("cafile", "", "Whom to trust as Keystone: certificates in PEM. Empty: whom the system trusts."), func(c *Config) *string { return &c.Authtoken.CAFile }),
		path(at("certfile", "", "The certificate to show Keystone, in PEM."), func(c *Config) *string { return &c.Authtoken.CertFile }),
		path(at("keyfile", "", "Its key, when that is not in certfile."), func(c *Config) *string { return &c.Authtoken.KeyFile }),
		boolean(at("insecure", "false", "Believe any Keystone's certificate. For tests."), func(c *Config) *bool { return &c.Authtoken.Insecure }),
		period(at("http_connect_timeout", "0", "How long Keystone may take to answer. 0: 30 seconds."), func(c *Config) *time.Duration { return &c.Authtoken.ConnectTimeout }),
		integer(at("http_request_max_retries", "3", "How often a request to Keystone that got no answer is tried again."), 0, 100,
			func(c *Config) *int { return &c.Authtoken.Retries }),
		periodOrNever(at("token_cache_time", "300", "How long a token that Keystone confirmed is believed without asking again, and never past its expiry. 0 or -1: ask each time."), func(c *Config) *time.Duration { return &c.Authtoken.CacheTime }),
		word(at("service_type", "", "What the catalog calls this API, such as block-storage or volumev3: access rules of application credentials name it. Empty: their tokens are refused."),
			func(c *Config) *string { return &c.Authtoken.ServiceType }),
		anything(at("service_token_roles", "service", "Roles of which a service token must have one."), func(c *Config) *[]string { return &c.Authtoken.ServiceRoles }),
		boolean(at("service_token_roles_required", "false", "Whether a service token without one of these roles is refused."),
			func(c *Config) *bool { return &c.Authtoken.ServiceRequired }),
	)
}

// pluginOptions are those of the authentication plugin, which auth_section may
// put elsewhere.
func pluginOptions() []option[Config] {
	in := func(c *Config) string {
		if c.Authtoken.Section != "" {
			return c.Authtoken.Section
		}
		return groupAuthtoken
	}
	at := func(name, help string, old ...string) option[Config] {
		return option[Config]{group: groupAuthtoken, name: name, help: help, api: true, in: in, old: old}
	}
	texts := func(name, help string, field func(*Config) *string, old ...string) option[Config] {
		return word(at(name, help, old...), field)
	}
	return []option[Config]{
		text(at("auth_type", "How Stoker logs in to Keystone. Needed with auth_strategy = keystone.", groupAuthtoken+".auth_plugin"),
			"password, v3password or v3applicationcredential",
			func(s string) bool {
				return s == "" || s == authPassword || s == authPasswordV3 || s == authApplication
			},
			func(c *Config) *string { return &c.Authtoken.Type }),
		text(at("auth_url", "Where Keystone is. Needed with auth_strategy = keystone."), "an http or https URL", optionalHTTP,
			func(c *Config) *string { return &c.Authtoken.URL }),
		text(at("system_scope", "Log in to the system."), "all, or empty", func(s string) bool { return s == "" || s == "all" },
			func(c *Config) *string { return &c.Authtoken.SystemScope }),
		texts("domain_id", "Log in to this domain.", func(c *Config) *string { return &c.Authtoken.DomainID }),
		texts("domain_name", "The same, by name.", func(c *Config) *string { return &c.Authtoken.DomainName }),
		texts("project_id", "Log in to this project.", func(c *Config) *string { return &c.Authtoken.ProjectID }, groupAuthtoken+".tenant_id"),
		texts("project_name", "The same, by name.", func(c *Config) *string { return &c.Authtoken.ProjectName }, groupAuthtoken+".tenant_name"),
		texts("project_domain_id", "The domain of project_name.", func(c *Config) *string { return &c.Authtoken.ProjectDomain.ID }),
		texts("project_domain_name", "The same, by name.", func(c *Config) *string { return &c.Authtoken.ProjectDomain.Name }),
		texts("trust_id", "Log in to this trust.", func(c *Config) *string { return &c.Authtoken.TrustID }),
		texts("default_domain_id", "The domain of user and project where nothing else is said.", func(c *Config) *string { return &c.Authtoken.DefaultDomain.ID }),
		texts("default_domain_name", "The same, by name.", func(c *Config) *string { return &c.Authtoken.DefaultDomain.Name }),
		texts("user_id", "Who logs in.", func(c *Config) *string { return &c.Authtoken.UserID }),
		texts("username", "The same, by name.", func(c *Config) *string { return &c.Authtoken.Username }, groupAuthtoken+".user_name"),
		texts("user_domain_id", "The domain of username.", func(c *Config) *string { return &c.Authtoken.UserDomain.ID }),
		texts("user_domain_name", "The same, by name.", func(c *Config) *string { return &c.Authtoken.UserDomain.Name }),
		secret(at("password", "The user's password."), func(c *Config) *Secret { return &c.Authtoken.Password }),
		texts("application_credential_id", "Log in with this application credential (v3applicationcredential).", func(c *Config) *string { return &c.Authtoken.CredentialID }),
		texts("application_credential_name", "The same, by name, which needs the user too.", func(c *Config) *string { return &c.Authtoken.CredentialName }),
		secret(at("application_credential_secret", "Its secret."), func(c *Config) *Secret { return &c.Authtoken.CredentialSecret }),
	}
}

// endpointInterface is one of the interfaces of a catalog; keystoneauth takes
// their names from Keystone v2 too, which end in URL.
func endpointInterface(o option[Config], at func(*Config) *string) option[Config] {
	o = choice(o, at, "internal", "public", "admin")
	o.set = func(c *Config, s string) bool { *at(c) = strings.TrimSuffix(s, "URL"); return true }
	return o
}

// keystone finds what is missing for auth_strategy = keystone.
func (v *validator) keystone() {
	a := v.c.Authtoken
	need := func(name, format string, args ...any) { v.rule(groupAuthtoken, name, format, args...) }
	if a.Type == "" {
		need("auth_type", "is needed with auth_strategy = %s: %s or %s", AuthKeystone, authPassword, authApplication)
	}
	if a.URL == "" {
		need("auth_url", "is needed with auth_strategy = %s", AuthKeystone)
	}
	user := a.UserID != "" || a.Username != "" && (a.UserDomain != Domain{} || a.DefaultDomain != Domain{})
	switch a.Type {
	case authPassword, authPasswordV3:
		if a.Password == "" {
			need("password", "is needed with auth_type = %s", a.Type)
		}
		switch {
		case user:
		case a.Username == "":
			need("username", "is needed with auth_type = %s, or user_id", a.Type)
		default:
			need("username", "needs user_domain_id or user_domain_name beside it")
		}
	case authApplication:
		if a.CredentialSecret == "" {
			need("application_credential_secret", "is needed with auth_type = %s", a.Type)
		}
		if a.CredentialID == "" && (a.CredentialName == "" || !user) {
			need("application_credential_id", "is needed with auth_type = %s; or application_credential_name and whose it is", a.Type)
		}
	}
}
