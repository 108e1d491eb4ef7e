package api

import (
	"net/http"

	"stoker/internal/api/microversion"
)

// The policy rules that the routes ask for, as Cinder names them
// (doc/cinder/behaviour.md#policy).
const (
	ruleServicesList   = "volume_extension:services:index"
	ruleServicesUpdate = "volume_extension:services:update"
	ruleFreeze         = "volume:freeze_host"
	ruleThaw           = "volume:thaw_host"
	ruleFailover       = "volume:failover_host"
	ruleClustersList   = "clusters:get_all"
	ruleClustersShow   = "clusters:get"
	ruleClustersUpdate = "clusters:update"
)

// access says who may come to a route.
type access int

const (
	byPolicy access = iota // whom the policy rule allows
	byToken                // everybody who proves who he is
	open                   // everybody
)

// route is one row of the table from which the router, the list of policy rules
// and the OpenAPI document are made.
type route struct {
	method  string // "" is any
	pattern string // as net/http writes it, without the project

	access access
	policy string // the rule that is asked for before the body is looked at
	then   string // the rule that the handler asks for once it knows the target

	since  microversion.Version
	before handler // what older versions get; nil is not found

	body   bool   // whether there must be a body; else there must be none
	schema string // what it must look like

	serve handler // nil: Cinder has the path and nothing behind it
	bare  bool    // neither version nor body matter
	own   bool    // of the part that Cinder has not: no versions

	tells   string // what an open route tells everybody, for the README
	summary string
	ok      int    // the status when all goes well
	shows   string // the OpenAPI component that the answer is; "" is no body
	filters []string
}

type handler func(*Server, *request) (*answer, error)

// routes is the table. Paths of the API are given once: a project may stand
// behind /v3, and .json at the end.
func routes() []route {
	table := []route{
		{
			pattern: "/{$}", access: open, serve: (*Server).versions, tells: "which versions the API has, and where",
			summary: "The versions of the API", ok: http.StatusMultipleChoices, shows: "Versions",
		},
		{pattern: root, access: byToken, serve: (*Server).toRoot, bare: true, summary: "Where the API begins", ok: http.StatusFound},
		{pattern: root + "/{$}", access: byToken, serve: (*Server).version, summary: "The version of the API", ok: http.StatusOK, shows: "Versions"},
		{
			pattern: healthPath, access: open, serve: (*Server).health, bare: true, summary: "Whether the process answers", ok: http.StatusOK, shows: "text",
			tells: "that the process answers; with `?detailed`, how the database, the bus and the policy are, and which exchange or queue the bus refuses, without addresses, paths or errors",
		},
		{
			pattern: healthPath + "/{rest...}", access: open, serve: (*Server).health, bare: true, summary: "The same, whatever follows", ok: http.StatusOK, shows: "text",
			tells: "the same",
		},
		{
			method: http.MethodGet, pattern: "/stoker/v1/openapi.yaml", access: open, serve: (*Server).openAPI, bare: true,
			tells:   "what the API looks like: the same document in every process, with nothing of the cloud in it",
			summary: "This document", ok: http.StatusOK, shows: "yaml",
		},

		{
			method: http.MethodGet, pattern: root + "/extensions", access: byToken, serve: (*Server).extensions,
			summary: "The extensions that are loaded", ok: http.StatusOK, shows: "Extensions",
		},
		{
			method: http.MethodGet, pattern: root + "/extensions/{alias}", access: byToken, serve: (*Server).extension,
			summary: "One extension", ok: http.StatusOK, shows: "Extension",
		},
	}
	table = append(table, serviceRoutes()...)
	table = append(table, clusterRoutes()...)
	table = append(table, operationRoutes()...)
	table = append(table, eventRoutes()...)
	table = append(table, destinationRoutes()...)
	return append(table, emptyRoutes()...)
}

func serviceRoutes() []route {
	table := []route{{
		method: http.MethodGet, pattern: root + "/os-services", policy: ruleServicesList, serve: (*Server).listServices,
		summary: "List the services", ok: http.StatusOK, shows: "Services", filters: []string{"host", "binary"},
	}}
	for _, a := range []route{
		{pattern: "enable", schema: "change-service", serve: (*Server).enable, summary: "Enable a service", ok: http.StatusOK, shows: "Changed"},
		{pattern: "disable", schema: "change-service", serve: (*Server).disable, summary: "Disable a service and keep the reason it has", ok: http.StatusOK, shows: "Changed"},
		{pattern: "disable-log-reason", schema: "disable-log-reason", serve: (*Server).disableWithReason, summary: "Disable a service for a reason", ok: http.StatusOK, shows: "ChangedWithReason"},
		{pattern: "freeze", schema: "freeze-thaw", then: ruleFreeze, serve: (*Server).freeze, summary: "Freeze the backend of a host or cluster", ok: http.StatusOK},
		{pattern: "thaw", schema: "freeze-thaw", then: ruleThaw, serve: (*Server).thaw, summary: "Thaw the backend of a host or cluster", ok: http.StatusOK},
		{pattern: "failover_host", schema: "failover", then: ruleFailover, serve: (*Server).failoverHost, summary: "Fail a host, or from 3.71 a cluster, over to another site", ok: http.StatusAccepted},
		{pattern: "failover", schema: "failover", then: ruleFailover, serve: (*Server).failover, summary: "Fail a host, or from 3.26 a cluster, over to another site", ok: http.StatusAccepted},
		{pattern: "get-log", schema: "get-log", since: microversion.LogLevel, serve: (*Server).getLog, summary: "Read log levels", ok: http.StatusOK, shows: "LogLevels"},
		{pattern: "set-log", schema: "set-log", since: microversion.LogLevel, serve: (*Server).setLog, summary: "Set log levels", ok: http.StatusAccepted},
	} {
		a.method, a.policy, a.body, a.before = http.MethodPut, ruleServicesUpdate, true, (*Server).unknownAction
		a.pattern = root + "/os-services/" + a.pattern
		table = append(table, a)
	}
	return append(table, route{
		method: http.MethodPut, pattern: root + "/os-services/{action}", policy: ruleServicesUpdate, body: true, serve: (*Server).unknownAction,
	})
}

func clusterRoutes() []route {
	filters := []string{"name", "binary", "is_up", "disabled", "num_hosts", "num_down_hosts", "replication_status", "frozen", "active_backend_id"}
	table := []route{
		{
			method: http.MethodGet, pattern: root + "/clusters", policy: ruleClustersList, serve: (*Server).listClusters,
			summary: "List the clusters", ok: http.StatusOK, shows: "Clusters", filters: filters,
		},
		{
			method: http.MethodGet, pattern: root + "/clusters/detail", policy: ruleClustersList, serve: (*Server).listClustersInDetail,
			summary: "List the clusters in detail", ok: http.StatusOK, shows: "ClustersInDetail", filters: filters,
		},
		{
			method: http.MethodGet, pattern: root + "/clusters/{name}", policy: ruleClustersShow, serve: (*Server).showCluster,
			summary: "Show a cluster", ok: http.StatusOK, shows: "ClusterInDetail",
		},
		{
			method: http.MethodPut, pattern: root + "/clusters/enable", policy: ruleClustersUpdate, body: true, schema: "enable-cluster", serve: (*Server).enableCluster,
			summary: "Enable a cluster", ok: http.StatusOK, shows: "ChangedCluster",
		},
		{
			method: http.MethodPut, pattern: root + "/clusters/disable", policy: ruleClustersUpdate, body: true, schema: "disable-cluster", serve: (*Server).disableCluster,
			summary: "Disable a cluster, with or without a reason", ok: http.StatusOK, shows: "ChangedCluster",
		},
		{method: http.MethodPut, pattern: root + "/clusters/{action}", policy: ruleClustersUpdate, body: true, serve: (*Server).unknownClusterAction},
	}
	for i := range table {
		table[i].since = microversion.ClusterSupport
	}
	return table
}

// emptyRoutes are paths that Cinder's router knows and no handler answers: they
// are not found, but only after the version and the content type were judged,
// and for some the project.
func emptyRoutes() []route {
	var table []route
	for _, at := range [][2]string{
		{http.MethodPost, "/os-services"},
		{http.MethodGet, "/os-services/{id}"},
		{http.MethodGet, "/os-services/{id}/edit"},
		{http.MethodDelete, "/os-services/{id}"},
		{http.MethodPost, "/clusters"},
		{http.MethodGet, "/clusters/new"},
		{http.MethodGet, "/clusters/{id}/edit"},
		{http.MethodDelete, "/clusters/{id}"},
		{http.MethodPut, "/extensions/{id}"},
	} {
		table = append(table, route{method: at[0], pattern: root + at[1], access: byToken})
	}
	return append(table,
		route{method: http.MethodPost, pattern: root + "/extensions", access: byToken, serve: (*Server).nothing},
		route{method: http.MethodDelete, pattern: root + "/extensions/{id}", access: byToken, serve: (*Server).nothing},
	)
}

func (s *Server) nothing(*request) (*answer, error) { return nil, errNotFound() }

// Rules are the policy rules that the routes ask for, each once.
func Rules() []string {
	var rules []string
	seen := map[string]bool{"": true}
	for _, r := range routes() {
		for _, rule := range []string{r.policy, r.then} {
			if !seen[rule] {
				seen[rule] = true
				rules = append(rules, rule)
			}
		}
	}
	return rules
}

// RuleBefore is the rule that a request asks for before it asks for this one; ""
// when it asks for no other.
func RuleBefore(rule string) string {
	for _, r := range routes() {
		if rule != "" && r.then == rule {
			return r.policy
		}
	}
	return ""
}

// match is where the router leaves what it found: it is the ResponseWriter of a
// request that is only looked up. What the router itself would answer is lost,
// so that it neither redirects nor says which methods there are.
type match struct {
	route *route
	http  *http.Request
}

func (*match) Header() http.Header         { return http.Header{} }
func (*match) Write(b []byte) (int, error) { return len(b), nil }
func (*match) WriteHeader(int)             {}

// newMux makes the router, whose handlers say which route it is.
func newMux(table []route) *http.ServeMux {
	mux := http.NewServeMux()
	for i := range table {
		r := &table[i]
		pattern := r.pattern
		if r.method != "" {
			pattern = r.method + " " + pattern
		}
		mux.HandleFunc(pattern, func(w http.ResponseWriter, req *http.Request) {
			if m, ok := w.(*match); ok {
				m.route, m.http = r, req
			}
		})
	}
	return mux
}

// find looks the request's route up. A HEAD finds only what answers any method.
func (s *Server) find(rq *request) bool {
	u := *rq.http.URL
	u.Path, u.RawPath = rq.path, ""
	r := *rq.http
	r.URL, r.RequestURI = &u, ""
	var m match
	s.mux.ServeHTTP(&m, &r)
	if m.route == nil || r.Method == http.MethodHead && m.route.method != "" {
		return false
	}
	rq.route = m.route
	rq.http = m.http
	return true
}
