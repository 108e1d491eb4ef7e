// Package control is what an administrator does to a fleet: list, enable,
// disable, freeze, thaw, fail over, read and set log levels.
//
// It owns the rules: preconditions, the independent causes that disable a
// service, the journal every change goes through, and what is done with each
// outcome of a command sent to a service. It knows neither HTTP nor SQL nor
// AMQP: those come in through the ports that it declares in ports.go.
package control
