// Package app puts a process together: Options → New → Start → Stop. It is the
// only place that knows which adapter stands behind which port, and the owner of
// everything that runs.
package app
