// Package microversion reads and compares the versions of the block-storage
// API: a request says in its OpenStack-API-Version header which 3.x it speaks,
// and everything that depends on the version asks here.
//
// It knows neither HTTP status codes nor routes; what a version changes is
// written where the routes and views are.
package microversion
