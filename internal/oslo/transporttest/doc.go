// Package transporttest is what every oslo.Transport must do, as tests. A
// transport that passes may take another's place without its users noticing.
package transporttest
