// Package printable escapes what a terminal would obey or hide: control
// characters, bidirectional overrides, tag characters, line separators and all
// that Unicode calls ignorable. Text that came over the network has no say over
// how, or whether, it is shown.
//
// It leaves alone what people read, in whatever script.
package printable
