// Package transporttest is the contract of oslo.Transport as a suite of tests.
package transporttest
