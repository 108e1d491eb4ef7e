// Package storetest is the contract of the store as a list of tests: what every
// database engine has to pass, in the words of those who use the store. The list
// knows no engine and asks nothing about speed.
//
// Template is for the tests of other packages: a prepared database for each.
package storetest
