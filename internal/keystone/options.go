package keystone

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
)

// Values of auth_type: the names of keystoneauth1's plugins.
const (
	Password              = "password"
	V3Password            = "v3password"
	ApplicationCredential = "v3applicationcredential"
)

// Defaults of Options.
const (
	DefaultInterface  = "internal"
	DefaultMaxRetries = 3
	DefaultCacheTime  = 300 * time.Second
	DefaultTimeout    = 30 * time.Second // keystonemiddleware has none: a loaded Keystone takes its time
)

// Options configure access to Keystone. Each is an option of [keystone_authtoken] as
// keystonemiddleware reads it.
type Options struct {
	AuthURL            string // auth_url: with or without /v3
	WWWAuthenticateURI string // www_authenticate_uri: named in 401 responses; "" means AuthURL

	Credential Credential // our own, from auth_section or the section itself

	Region    string // region_name of the endpoint that validates; "" means any
	Interface string // interface of that endpoint: public, internal or admin; "" means DefaultInterface

	CAFile   string // cafile: the CA of Keystone's certificate; "" means the system's
	CertFile string // certfile: our certificate, with its key unless KeyFile is set
	KeyFile  string // keyfile
	Insecure bool   // insecure: accept any certificate

	Timeout    time.Duration // http_connect_timeout: of one request, and half of a caller's longest wait; 0 means DefaultTimeout
	MaxRetries int           // http_request_max_retries: retries when Keystone cannot be reached

	// CacheTime is token_cache_time: how long an answer is cached. Not above 0: never.
	CacheTime time.Duration

	// ServiceType is service_type: the type of this API in the catalog, which access
	// rules of application credentials refer to. "" refuses tokens that have access
	// rules.
	ServiceType string

	ServiceRoles         []string // service_token_roles: with one of them a service may forward expired tokens
	ServiceRolesRequired bool     // service_token_roles_required: a service token must have one

	Log *slog.Logger

	// Transport, for tests, replaces the transport made from the options above.
	Transport http.RoundTripper
}

// Credential is our own credential. Formatting it prints only its user.
type Credential struct {
	Type string // auth_type

	UserID         string
	Username       string
	UserDomainID   string
	UserDomainName string
	Password       string

	ApplicationCredentialID     string
	ApplicationCredentialName   string
	ApplicationCredentialSecret string

	// The scope of the token: a project, a domain, the system or a trust.
	ProjectID         string
	ProjectName       string
	ProjectDomainID   string
	ProjectDomainName string
	DomainID          string
	DomainName        string
	SystemScope       string // all
	TrustID           string

	// The domain of user and project unless they have their own.
	DefaultDomainID   string
	DefaultDomainName string
}

// String omits the secrets.
func (c Credential) String() string {
	user := first(c.Username, c.UserID, c.ApplicationCredentialName, c.ApplicationCredentialID)
	return fmt.Sprintf("%s of %s", c.Type, user)
}

// GoString is String, for %#v.
func (c Credential) GoString() string { return c.String() }

// LogValue is String, for logs.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// first returns the first non-empty string.
func first(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}

// withDefaults fills in defaults and returns all errors in the options.
func (o Options) withDefaults() (Options, error) {
	var errs []error
	if !isHTTP(o.AuthURL) {
		errs = append(errs, errors.New("auth_url must be an http or https URL"))
	}
	o.WWWAuthenticateURI = first(o.WWWAuthenticateURI, o.AuthURL)
	if strings.ContainsFunc(o.WWWAuthenticateURI, func(r rune) bool { return r < ' ' || r == '"' || r > '~' }) {
		errs = append(errs, errors.New("www_authenticate_uri must be a URL"))
	}
	o.Interface = strings.TrimSuffix(first(o.Interface, DefaultInterface), "URL")
	switch o.Interface {
	case "public", "internal", "admin":
	default:
		errs = append(errs, errors.New("interface must be one of public, internal, admin"))
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.KeyFile != "" && o.CertFile == "" {
		errs = append(errs, errors.New("keyfile needs certfile"))
	}
	_, err := o.Credential.options()
	return o, errors.Join(append(errs, err)...)
}

func isHTTP(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// options converts the credential to gophercloud's form. Errors name options, never
// values.
func (c Credential) options() (*gophercloud.AuthOptions, error) {
	userDomain := domain{c.UserDomainID, c.UserDomainName}.or(c.DefaultDomainID, c.DefaultDomainName)
	o := &gophercloud.AuthOptions{UserID: c.UserID}
	if c.UserID == "" {
		o.Username, o.DomainID, o.DomainName = c.Username, userDomain.id, userDomain.name
	}
	switch c.Type {
	case Password, V3Password:
		if c.Password == "" {
			return nil, errors.New("password is missing")
		}
		o.Password = c.Password
		if err := needUser(o); err != nil {
			return nil, err
		}
		var err error
		o.Scope, err = c.scope()
		return o, err
	case ApplicationCredential:
		if c.ApplicationCredentialSecret == "" {
			return nil, errors.New("application_credential_secret is missing")
		}
		o.ApplicationCredentialID, o.ApplicationCredentialSecret = c.ApplicationCredentialID, c.ApplicationCredentialSecret
		if o.ApplicationCredentialID != "" {
			return o, nil
		}
		if c.ApplicationCredentialName == "" {
			return nil, errors.New("application_credential_id or application_credential_name is missing")
		}
		o.ApplicationCredentialName = c.ApplicationCredentialName
		return o, needUser(o)
	case "":
		return nil, errors.New("auth_type is missing")
	default:
		return nil, fmt.Errorf("auth_type must be one of %s, %s, %s", Password, V3Password, ApplicationCredential)
	}
}

func needUser(o *gophercloud.AuthOptions) error {
	if o.UserID == "" && o.Username == "" {
		return errors.New("username or user_id is missing")
	}
	if o.UserID == "" && o.DomainID == "" && o.DomainName == "" {
		return errors.New("user_domain_id or user_domain_name is missing")
	}
	return nil
}

// scope is the scope of the token.
func (c Credential) scope() (*gophercloud.AuthScope, error) {
	var scopes []*gophercloud.AuthScope
	if c.ProjectID != "" {
		scopes = append(scopes, &gophercloud.AuthScope{ProjectID: c.ProjectID})
	} else if c.ProjectName != "" {
		d := domain{c.ProjectDomainID, c.ProjectDomainName}.or(c.DefaultDomainID, c.DefaultDomainName)
		if d == (domain{}) {
			return nil, errors.New("project_domain_id or project_domain_name is missing")
		}
		scopes = append(scopes, &gophercloud.AuthScope{ProjectName: c.ProjectName, DomainID: d.id, DomainName: d.name})
	}
	if d := (domain{c.DomainID, c.DomainName}).or("", ""); d != (domain{}) {
		scopes = append(scopes, &gophercloud.AuthScope{DomainID: d.id, DomainName: d.name})
	}
	if c.SystemScope != "" {
		scopes = append(scopes, &gophercloud.AuthScope{System: true})
	}
	if c.TrustID != "" {
		scopes = append(scopes, &gophercloud.AuthScope{TrustID: c.TrustID})
	}
	if len(scopes) != 1 {
		return nil, errors.New("one of project_id or project_name, domain_id or domain_name, system_scope and trust_id must be there")
	}
	return scopes[0], nil
}

// domain is a domain, by its id if known, else by its name.
type domain struct{ id, name string }

func (d domain) or(id, name string) domain {
	switch {
	case d.id != "":
		return domain{id: d.id}
	case d.name != "":
		return domain{name: d.name}
	case id != "":
		return domain{id: id}
	default:
		return domain{name: name}
	}
}
