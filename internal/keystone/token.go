package keystone

import (
	"errors"
	"slices"
	"time"

	"stoker/internal/cinder"
)

// named is a reference to an object in Keystone.
type named struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// member is an object that belongs to a domain.
type member struct {
	ID     string `json:"id"`
	Domain named  `json:"domain"`
}

// description is Keystone's description of a token; gophercloud's own type lacks much
// of it. Nothing is embedded: gophercloud's ExtractInto panics on that.
type description struct {
	ExpiresAt time.Time       `json:"expires_at"`
	IssuedAt  time.Time       `json:"issued_at"`
	User      member          `json:"user"`
	Project   *member         `json:"project"`
	Domain    *named          `json:"domain"`
	System    map[string]bool `json:"system"`
	Roles     []named         `json:"roles"`

	// IsAdminProject is absent from clouds without an admin project: then every project
	// is one, as in keystoneauth1.
	IsAdminProject *bool `json:"is_admin_project"`

	Bind                  map[string]any `json:"bind"`
	ApplicationCredential *struct {
		AccessRules *[]accessRule `json:"access_rules"`
	} `json:"application_credential"`

	Catalog []struct { // if requested
		Type string `json:"type"`
	} `json:"catalog"`
}

// check returns an error for a description that Keystone never gives.
func (d *description) check() error {
	scopes := 0
	for _, there := range []bool{d.Project != nil, d.Domain != nil, d.System != nil} {
		if there {
			scopes++
		}
	}
	switch {
	case d.User.ID == "":
		return errors.New("the description has no user")
	case d.ExpiresAt.IsZero():
		return errors.New("the description has no expiry")
	case scopes > 1:
		return errors.New("the description has several scopes")
	case d.Project != nil && d.Project.ID == "":
		return errors.New("the description's project has no id")
	case d.Domain != nil && d.Domain.ID == "":
		return errors.New("the description's domain has no id")
	case slices.ContainsFunc(d.Roles, func(r named) bool { return r.Name == "" }):
		return errors.New("the description has a role without a name")
	}
	return nil
}

// restricted reports whether the token has access rules, even an empty list.
func (d *description) restricted() bool {
	return d.ApplicationCredential != nil && d.ApplicationCredential.AccessRules != nil
}

// hasService reports whether the catalog has a service of that type.
func (d *description) hasService(service string) bool {
	for _, s := range d.Catalog {
		if s.Type == service {
			return true
		}
	}
	return false
}

// caller is the token's owner.
func (d *description) caller() cinder.Caller {
	c := cinder.Caller{
		UserID: d.User.ID, UserDomainID: d.User.Domain.ID,
		IsAdminProject: d.IsAdminProject == nil || *d.IsAdminProject,
	}
	if d.Project != nil {
		c.ProjectID, c.ProjectDomainID = d.Project.ID, d.Project.Domain.ID
	}
	if d.Domain != nil {
		c.DomainID = d.Domain.ID
	}
	if d.System["all"] {
		c.SystemScope = "all"
	}
	for _, r := range d.Roles {
		c.Roles = append(c.Roles, r.Name)
	}
	c.Roles = slices.Clip(c.Roles) // shared by all requests with the token, so an append must copy
	return c
}

// serviceOf is the caller as a service that forwards a request.
func serviceOf(c cinder.Caller) cinder.ServiceCaller {
	return cinder.ServiceCaller{
		UserID: c.UserID, UserDomainID: c.UserDomainID,
		ProjectID: c.ProjectID, ProjectDomainID: c.ProjectDomainID, Roles: c.Roles,
	}
}
