package keystone

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/config/clouds"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"

	"stoker/internal/cinder"
)

// LoginOptions describe an operator's credential, as for OpenStack's clients.
type LoginOptions struct {
	Cloud   string                   // a cloud of clouds.yaml; "" reads OS_AUTH_URL and so on from the environment
	Env     func(name string) string // the environment
	Timeout time.Duration            // of each request to Keystone

	// Transport carries the requests; nil makes one with the cloud's certificates.
	Transport http.RoundTripper
}

// Ticket is the result of a login.
type Ticket struct {
	Token     string
	Endpoint  string            // of the block-storage API, from the catalog
	Transport http.RoundTripper // with the cloud's certificates
}

// Login authenticates an operator with a password or an application credential, and
// finds the block-storage API. KindInvalid when the options are unusable,
// KindUnauthenticated when Keystone refuses the credential, KindNotFound when the
// catalog has no such API, and KindUnavailable when Keystone cannot be asked. No error
// contains a secret.
func Login(ctx context.Context, o LoginOptions) (Ticket, error) {
	auth, where, transport, err := o.parse()
	if err != nil {
		return Ticket{}, err
	}
	provider := &gophercloud.ProviderClient{HTTPClient: http.Client{Transport: limited{transport}, Timeout: o.Timeout, CheckRedirect: sameHostOnly}}
	provider.UserAgent.Prepend("stoker")
	client := &gophercloud.ServiceClient{ProviderClient: provider, Endpoint: identityBase(auth.IdentityEndpoint), Type: "identity"}
	r := tokens.Create(ctx, client, auth)
	status := statusOf(r.Err)
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return Ticket{}, cinder.Errorf(cinder.KindUnauthenticated, "Keystone at %s refuses the credential", auth.IdentityEndpoint)
	case r.Err != nil:
		return Ticket{}, cinder.Wrap(cinder.KindUnavailable, redacted(r.Err), "no token from Keystone at %s", auth.IdentityEndpoint)
	}
	token, err := r.ExtractTokenID()
	catalog, failed := r.ExtractServiceCatalog()
	if err != nil || failed != nil || token == "" {
		return Ticket{}, cinder.Errorf(cinder.KindUnavailable, "what answers at %s is no Keystone", auth.IdentityEndpoint)
	}
	where.ApplyDefaults("block-storage")
	endpoint, err := openstack.V3Endpoint(ctx, provider, catalog, where)
	if err != nil {
		return Ticket{}, cinder.Errorf(cinder.KindNotFound, "the catalog has no block-storage API for interface %s and region %q", where.Availability, where.Region)
	}
	return Ticket{Token: token, Endpoint: endpoint, Transport: transport}, nil
}

// parse reads clouds.yaml, or converts the environment to one.
func (o LoginOptions) parse() (*gophercloud.AuthOptions, gophercloud.EndpointOpts, http.RoundTripper, error) {
	options := []clouds.ParseOption{clouds.WithCloudName(o.Cloud)}
	if file := o.Env("OS_CLIENT_CONFIG_FILE"); file != "" {
		options = append(options, clouds.WithLocations(file))
	}
	if o.Cloud == "" {
		options = []clouds.ParseOption{clouds.WithCloudName("environment"), clouds.WithCloudsYAML(bytes.NewReader(environment(o.Env)))}
	}
	auth, where, certificates, err := clouds.Parse(options...)
	if err != nil {
		text := err.Error()
		if strings.Contains(text, "yaml:") { // it may quote what it cannot read
			text = "clouds.yaml cannot be read"
		}
		return nil, where, nil, cinder.Errorf(cinder.KindInvalid, "%s", text)
	}
	if !isHTTP(auth.IdentityEndpoint) {
		return nil, where, nil, cinder.Errorf(cinder.KindInvalid, "auth_url (OS_AUTH_URL) must be an http or https URL")
	}
	// gophercloud wants either the id or the name of a domain, and neither with a
	// user's id.
	if auth.UserID != "" {
		auth.Username, auth.DomainID = "", ""
	}
	if auth.UserID != "" || auth.DomainID != "" {
		auth.DomainName = ""
	}
	if auth.Scope != nil && auth.Scope.DomainID != "" {
		auth.Scope.DomainName = ""
	}
	if _, err := auth.ToTokenV3CreateMap(nil); err != nil {
		return nil, where, nil, cinder.Errorf(cinder.KindInvalid, "the credential is not whole: %s", oneLine(err))
	}
	if o.Transport != nil {
		return &auth, where, o.Transport, nil
	}
	return &auth, where, &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: certificates, ForceAttemptHTTP2: true, IdleConnTimeout: idleConnLimit}, nil
}

// oneLine is gophercloud's error about options, which has names of fields and no
// values.
func oneLine(err error) error { return errors.New(strings.Join(strings.Fields(err.Error()), " ")) }

// environment converts the variables of openrc files to a clouds.yaml.
func environment(env func(string) string) []byte {
	pick := func(names map[string]string) map[string]any {
		m := map[string]any{}
		for field, variables := range names {
			for name := range strings.FieldsSeq(variables) {
				if v := env(name); v != "" && m[field] == nil {
					m[field] = v
				}
			}
		}
		return m
	}
	cloud := pick(map[string]string{
		"region_name": "OS_REGION_NAME", "interface": "OS_INTERFACE OS_ENDPOINT_TYPE", "cacert": "OS_CACERT", "cert": "OS_CERT", "key": "OS_KEY",
	})
	if insecure := env("OS_INSECURE"); insecure == "1" || strings.EqualFold(insecure, "true") {
		cloud["verify"] = false
	}
	cloud["auth"] = pick(map[string]string{
		"auth_url": "OS_AUTH_URL", "username": "OS_USERNAME", "user_id": "OS_USER_ID OS_USERID", "password": "OS_PASSWORD",
		"user_domain_id": "OS_USER_DOMAIN_ID OS_DEFAULT_DOMAIN_ID", "user_domain_name": "OS_USER_DOMAIN_NAME",
		"project_id": "OS_PROJECT_ID OS_TENANT_ID", "project_name": "OS_PROJECT_NAME OS_TENANT_NAME",
		"project_domain_id": "OS_PROJECT_DOMAIN_ID OS_DEFAULT_DOMAIN_ID", "project_domain_name": "OS_PROJECT_DOMAIN_NAME",
		"domain_id": "OS_DOMAIN_ID", "domain_name": "OS_DOMAIN_NAME", "system_scope": "OS_SYSTEM_SCOPE", "trust_id": "OS_TRUST_ID",
		"application_credential_id": "OS_APPLICATION_CREDENTIAL_ID", "application_credential_name": "OS_APPLICATION_CREDENTIAL_NAME",
		"application_credential_secret": "OS_APPLICATION_CREDENTIAL_SECRET",
	})
	text, err := json.Marshal(map[string]any{"clouds": map[string]any{"environment": cloud}})
	if err != nil { // cannot happen: it has only maps of strings
		panic(fmt.Sprint("environment: ", err))
	}
	return text
}
