// Package soak keeps the program under load for a long time, while engines, services
// and API processes come and go at random. In the end nothing is stuck, no row is half
// changed, and no resource has grown.
package soak
