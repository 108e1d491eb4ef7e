// Package api is the REST API: Cinder's os-services and clusters, version
// discovery and health, spoken as Cinder speaks them, over control.
//
// One table (routes.go) makes the router, the list of policy rules and the
// OpenAPI document. A request goes through one pipeline (request.go), in
// Cinder's order (doc/cinder/behaviour.md#order-of-checks):
//
//	size -> token -> path -> microversion -> content type -> JSON -> project
//	     -> policy -> schema -> handler -> answer or fault
//
// Handlers return an answer or an error and know no status codes of faults;
// fault.go alone does. Who the caller is and what he may do is decided behind
// two seams, Authenticator and Policy. The package knows neither SQL nor the
// bus, and no rule of what an action does: those are control's.
package api
