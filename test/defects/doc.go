// Package defects shows, one test for each, that what Cinder does badly is not so
// when Stoker's API commands Cinder's own, unchanged services: killed, stopped and
// going on, with a backend that refuses or raises, alone and in a cluster. Each
// test looks at the answers, at the rows and at the journal.
//
// The tests share two deployments: one host with the backends alpha, beta and
// gamma, and a cluster of two members. A test finds everything up and nothing
// done to it, and leaves it so.
package defects
