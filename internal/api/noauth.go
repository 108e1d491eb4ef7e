package api

import (
	"context"
	"net/http"
	"strings"

	"stoker/internal/cinder"
)

// headerToken carries the token that says who the caller is.
const headerToken = "X-Auth-Token"

// longestName is the length of the longest token of one word that is taken for a
// name: that of a UUID without dashes, which a project's id is.
const longestName = 32

// NoAuth believes every caller: the token is user:project, or one word that is
// both, and everybody is an administrator. It is for development and tests.
type NoAuth struct {
	// IncludeProject is what tells noauth_include_project_id from noauth: whether
	// the address that a visitor without a token is given names his project.
	IncludeProject bool
	// Hosts are those that requests may be for, beside loopback names and addresses.
	Hosts []string
}

// Authenticate implements Authenticator. A request without a token is
// KindUnauthenticated; Cinder would answer it 204 wherever it goes.
func (NoAuth) Authenticate(r *http.Request) (cinder.Caller, error) {
	token := r.Header.Get(headerToken)
	if token == "" {
		return cinder.Caller{}, cinder.Errorf(cinder.KindUnauthenticated, "%s", textUnauthorized)
	}
	user, project, _ := strings.Cut(token, ":")
	if project == "" {
		if len(user) > longestName { // a real token, of a client that was set up for Keystone: not for the log
			user = "unnamed"
		}
		project = user
	}
	return cinder.Caller{UserID: user, ProjectID: project, Roles: []string{"admin"}, IsAdmin: true, IsAdminProject: true}, nil
}

// greet gives a visitor without a token one, and the address below base to use it at.
func (n NoAuth) greet(r *http.Request, base string) http.Header {
	if r.Header.Get(headerToken) != "" {
		return nil
	}
	user, project := r.Header.Get("X-Auth-User"), r.Header.Get("X-Auth-Project-Id")
	if user == "" {
		user = "admin"
	}
	if project == "" {
		project = "admin"
	}
	address := base + root
	if n.IncludeProject {
		address += "/" + project
	}
	return http.Header{
		headerToken:               {user + ":" + project},
		"X-Server-Management-Url": {address},
		"Content-Type":            {"text/plain; charset=UTF-8"},
	}
}

// AllowAll is the policy of NoAuth: everybody may do everything.
type AllowAll struct{}

// Allow implements Policy.
func (AllowAll) Allow(context.Context, cinder.Caller, string) error { return nil }
