// Package e2e drives the built program as an administrator does: over HTTP and
// by its own commands, with restarts and kills in between. It holds no code of
// the product.
package e2e
