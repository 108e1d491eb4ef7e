// Package order has many callers freeze and thaw one service through several API
// processes at once: what they see must have an order.
package order
