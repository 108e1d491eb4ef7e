// Package osloconf reads the INI dialect of oslo.config, so that the file that
// configures a Python service configures ours.
//
// The dialect differs from other INI files in small ways that matter: a comment
// starts in the first column only, an indented line continues the value above it,
// a repeated key adds a value, $name takes the value of another option, and the
// environment has the last word. testdata/oslo.json holds what the Python
// library itself makes of some two hundred inputs; testdata/oslo.py asked it.
//
// The package knows no options: types, defaults and ranges are package config's.
package osloconf
