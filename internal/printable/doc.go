// Package printable escapes characters that control a terminal or are invisible:
// control characters, bidirectional overrides, tag characters, line separators and all
// that Unicode calls ignorable. Text from the network must not decide how, or whether,
// it is displayed.
//
// It does not change readable text in any script.
package printable
