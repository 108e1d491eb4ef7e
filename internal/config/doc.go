// Package config is what an operator can set: one table of options, with their
// types, defaults and ranges, and the typed Config that comes of reading files
// and the environment through it.
//
// Names, sections and defaults are Cinder's, so that the file that starts a
// Cinder service starts ours; options that Cinder has not are in [stoker], or in
// a backend's section with a name that starts with stoker_. Where a default
// differs from Cinder's, its help says why. doc/configuration.md is written from
// the same table.
//
// The package does not act on any option: it opens no file but those it is told
// to read, and resolves no name.
package config
