// Package osloconf reads the INI dialect of oslo.config, so that a Python service's
// configuration files work unchanged.
//
// The dialect differs from other INI files in small ways that matter: comments start in
// the first column only, an indented line continues the value above it, a repeated key
// adds a value, $name refers to another option, and the environment overrides the
// files. testdata/oslo.json has the Python library's results for some two hundred
// inputs, recorded by testdata/oslo.py.
//
// Types, defaults and ranges of options are the business of package config.
package osloconf
