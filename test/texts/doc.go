// Package texts sends requests with odd texts in every field to a whole control
// plane in this process, over each database engine. It holds no code of the product.
package texts
