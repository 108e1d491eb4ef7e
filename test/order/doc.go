// Package order has many callers freeze and thaw one service through several API
// processes at once: an order of the changes must explain what they see.
package order
