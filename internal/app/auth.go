package app

import (
	"context"
	"fmt"
	"log/slog"

	"stoker/internal/api"
	"stoker/internal/config"
	"stoker/internal/keystone"
	"stoker/internal/policy"
)

// guard is who says who sends a request, and what he may do: Keystone, or with
// noauth the caller himself; and the policy. o gets the parts that it fills in.
func (a *App) guard(o api.Options) (api.Options, error) {
	c := a.o.Config
	p := PolicyOptions(c)
	p.Log = a.counted(a.loggers.Logger("stoker.policy"), "rule")
	rules, err := policy.New(p)
	if err != nil {
		return o, fmt.Errorf("[oslo_policy]: %w", err)
	}
	a.policy, o.Policy = rules, rules
	if c.Noauth() {
		o.Auth = api.NoAuth{IncludeProject: c.AuthStrategy == config.AuthNoauthProject, Hosts: c.OwnHosts()}
		return o, nil
	}
	auth, err := keystone.New(keystoneOptions(c.Authtoken, a.counted(a.loggers.Logger("stoker.keystone"))))
	if err != nil {
		return o, err
	}
	a.onStop("Keystone", func(context.Context) error { auth.Close(); return nil })
	o.Auth, o.Challenge = auth, auth.Challenge()
	return o, nil
}

// keystoneOptions are [keystone_authtoken] as keystone takes it.
func keystoneOptions(c config.Authtoken, log *slog.Logger) keystone.Options {
	return keystone.Options{
		AuthURL: c.URL, WWWAuthenticateURI: c.WWWAuthenticateURI,
		Credential: keystone.Credential{
			Type: c.Type, UserID: c.UserID, Username: c.Username, UserDomainID: c.UserDomain.ID, UserDomainName: c.UserDomain.Name,
			Password:                string(c.Password),
			ApplicationCredentialID: c.CredentialID, ApplicationCredentialName: c.CredentialName,
			ApplicationCredentialSecret: string(c.CredentialSecret),
			ProjectID:                   c.ProjectID, ProjectName: c.ProjectName, ProjectDomainID: c.ProjectDomain.ID, ProjectDomainName: c.ProjectDomain.Name,
			DomainID: c.DomainID, DomainName: c.DomainName, SystemScope: c.SystemScope, TrustID: c.TrustID,
			DefaultDomainID: c.DefaultDomain.ID, DefaultDomainName: c.DefaultDomain.Name,
		},
		Region: c.Region, Interface: c.Interface,
		CAFile: c.CAFile, CertFile: c.CertFile, KeyFile: c.KeyFile, Insecure: c.Insecure,
		Timeout: c.ConnectTimeout, MaxRetries: c.Retries, CacheTime: c.CacheTime,
		ServiceType: c.ServiceType, ServiceRoles: c.ServiceRoles, ServiceRolesRequired: c.ServiceRequired,
		Log: log,
	}
}
