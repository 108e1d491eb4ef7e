package policy

// Default is a rule that applies unless a file overrides it.
type Default struct {
	Name        string
	Check       string
	Description string
	Requests    []string // "METHOD /path", for the sample file
	// ScopeTypes are the token scopes ("system", "domain", "project") that may pass
	// where scope is enforced; nil means any.
	ScopeTypes []string
	Deprecated *Deprecated
}

// Deprecated is a default's earlier name and check. Whoever passes the old check still
// passes, until [oslo_policy] enforce_new_defaults.
type Deprecated struct{ Name, Check string }

const (
	admin       = "rule:admin_api"
	adminReader = "rule:admin_api or (role:reader and system_scope:all)"
)

// Defaults returns Cinder's rules for the resources that we have, the base rules that
// policy files may refer to, and the rules of our own API. The names of Cinder's rules
// are part of the contract (doc/cinder/behaviour.md#policy).
func Defaults() []Default {
	return append(append(baseDefaults(), cinderDefaults()...), ownDefaults()...)
}

func baseDefaults() []Default {
	const owner = "project_id:%(project_id)s"
	return []Default{
		{Name: "context_is_admin", Check: "role:admin", Description: "Who counts as an administrator: for whom the check is_admin:True passes."},
		{Name: "admin_api", Check: "is_admin:True or (role:admin and is_admin_project:True)", Description: "What the rules of administrators refer to."},
		{Name: "admin_or_owner", Check: "is_admin:True or (role:admin and is_admin_project:True) or " + owner, Description: "Administrators, and the members of the project. Nothing here refers to it; policy files may."},
		{
			Name: "system_or_domain_or_project_admin", Check: "(role:admin and system_scope:all) or (role:admin and domain_id:%(domain_id)s) or (role:admin and " + owner + ")",
			Description: "Administrators of the cloud, a domain or a project. Nothing here refers to it; policy files may.",
		},
		{Name: "xena_system_admin_or_project_reader", Check: "(role:admin) or (role:reader and " + owner + ")", Description: "Administrators, and readers of the project. Nothing here refers to it; policy files may."},
		{Name: "xena_system_admin_or_project_member", Check: "(role:admin) or (role:member and " + owner + ")", Description: "Administrators, and members of the project. Nothing here refers to it; policy files may."},
	}
}

func cinderDefaults() []Default {
	return []Default{
		{Name: "volume_extension:services:index", Check: admin, Description: "List the services.", Requests: []string{"GET /os-services"}},
		{
			Name: "volume_extension:services:update", Check: admin, Requests: []string{"PUT /os-services/{action}"},
			Description: "Change a service: every action, get-log and set-log included. Freezing, thawing and failing over need their own rule besides.",
		},
		{Name: "volume:freeze_host", Check: admin, Description: "Freeze a backend.", Requests: []string{"PUT /os-services/freeze"}},
		{Name: "volume:thaw_host", Check: admin, Description: "Thaw a backend.", Requests: []string{"PUT /os-services/thaw"}},
		{
			Name: "volume:failover_host", Check: admin, Description: "Fail a backend over to another site, or back.",
			Requests: []string{"PUT /os-services/failover_host", "PUT /os-services/failover"},
		},
		{Name: "clusters:get_all", Check: admin, Description: "List the clusters.", Requests: []string{"GET /clusters", "GET /clusters/detail"}},
		{Name: "clusters:get", Check: admin, Description: "Show a cluster.", Requests: []string{"GET /clusters/{name}"}},
		{Name: "clusters:update", Check: admin, Description: "Enable or disable a cluster.", Requests: []string{"PUT /clusters/enable", "PUT /clusters/disable"}},
	}
}

// ownDefaults returns the rules of /stoker/v1: administrators may change, and readers
// of the system scope may read.
func ownDefaults() []Default {
	var own []Default
	add := func(name, check, description string, requests ...string) {
		own = append(own, Default{Name: "stoker:" + name, Check: check, Description: description, Requests: requests})
	}
	add("operations:index", adminReader, "Read the journal: who changed what, and how it ended.", "GET /stoker/v1/operations", "GET /stoker/v1/operations/{id}")
	add("operations:abort", admin, "Give up an operation that is overdue.", "POST /stoker/v1/operations/{id}/abort")
	add("events:index", adminReader, "Follow events.", "GET /stoker/v1/events")
	return own
}
