// Package format writes what a command found out: as a table for people, with
// the borders that OpenStack's clients draw, or as JSON or YAML for programs.
// It knows nothing of what is in the tables.
package format
