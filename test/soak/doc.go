// Package soak has administrators ask for everything for a long time, while
// engines, services and API processes come and go at random. In the end nothing
// is stuck, no row is half changed, and nothing has grown.
package soak
