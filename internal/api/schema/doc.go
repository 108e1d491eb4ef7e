// Package schema reads the bodies of requests: it decodes their JSON as
// strictly and as loosely as Cinder does, validates them against the embedded
// JSON Schemas, and says in Cinder's words what is wrong with them.
//
// It knows neither routes nor what a body is for, and holds no rule that
// depends on the state of a service.
package schema
