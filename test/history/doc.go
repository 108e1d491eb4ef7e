// Package history plays the adversary. Callers send random changes and lists to two API
// processes, and repeat changes under the same Idempotency-Key, while engines, services
// and API processes are taken away. Every answer is compared with the journal, the
// rows, the backends' actions and every other answer: there must be an order of the
// changes that explains them all.
package history
