// Package storetest is the store's contract as a suite of tests that every database
// engine must pass. The suite knows no engine and measures no speed.
//
// Template gives tests of other packages a prepared database each.
package storetest
