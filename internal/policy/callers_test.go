package policy_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"stoker/internal/cinder"
	"stoker/internal/policy"
)

// recorded is testdata/callers.json: the decisions of the real Cinder.
type recorded struct {
	Rules   []string
	Callers map[string]recordedCaller
	Table   []struct {
		Policy  any
		Answers map[string]string
	}
}

type recordedCaller struct {
	UserID                 string   `json:"user_id"`
	UserDomainID           string   `json:"user_domain_id"`
	ProjectID              string   `json:"project_id"`
	ProjectDomainID        string   `json:"project_domain_id"`
	DomainID               string   `json:"domain_id"`
	SystemScope            string   `json:"system_scope"`
	Roles                  []string `json:"roles"`
	IsAdmin                bool     `json:"is_admin"`
	IsAdminProject         *bool    `json:"is_admin_project"`
	ServiceUserID          string   `json:"service_user_id"`
	ServiceUserDomainID    string   `json:"service_user_domain_id"`
	ServiceProjectID       string   `json:"service_project_id"`
	ServiceProjectDomainID string   `json:"service_project_domain_id"`
	ServiceRoles           []string `json:"service_roles"`
}

func (c recordedCaller) caller() cinder.Caller {
	return cinder.Caller{
		UserID: c.UserID, UserDomainID: c.UserDomainID, ProjectID: c.ProjectID, ProjectDomainID: c.ProjectDomainID,
		DomainID: c.DomainID, SystemScope: c.SystemScope, Roles: c.Roles, IsAdmin: c.IsAdmin,
		IsAdminProject: c.IsAdminProject == nil || *c.IsAdminProject,
		Service: cinder.ServiceCaller{
			UserID: c.ServiceUserID, UserDomainID: c.ServiceUserDomainID, ProjectID: c.ServiceProjectID,
			ProjectDomainID: c.ServiceProjectDomainID, Roles: c.ServiceRoles,
		},
	}
}

// enforcer returns an Enforcer with this policy file.
func enforcer(tb testing.TB, text string) *policy.Enforcer {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "policy.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	e, err := policy.New(policy.Options{File: path, DefaultRule: "default"})
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

func TestLikeCinder(t *testing.T) {
	b, err := os.ReadFile("testdata/callers.json")
	if err != nil {
		t.Fatal(err)
	}
	var r recorded
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, row := range r.Table {
		text, err := json.Marshal(row.Policy)
		if err != nil {
			t.Fatal(err)
		}
		e := enforcer(t, string(text))
		for name, answers := range row.Answers {
			for i, want := range answers {
				asked++
				err := e.Allow(t.Context(), r.Callers[name].caller(), r.Rules[i])
				if (err == nil) != (want == 'y') { // an exception denies, too
					t.Errorf("%s: %s of %s: %v, want %c", text, r.Rules[i], name, err, want)
				}
				if err != nil && (cinder.KindOf(err) != cinder.KindForbidden || cinder.Message(err) != "Policy doesn't allow "+r.Rules[i]+" to be performed.") {
					t.Errorf("%s is refused with %v", name, err)
				}
			}
		}
	}
	if asked < 8000 {
		t.Errorf("%d questions only", asked)
	}
}
