// Package history plays the adversary. Callers ask two API processes for random
// changes and lists, and send changes again under the same Idempotency-Key, while
// engines, services and API processes are taken away. Every answer is kept, and
// compared with the journal, with the rows, with what the backends did, and with
// every other answer: there has to be an order of the changes that explains them.
package history
