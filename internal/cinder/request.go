package cinder

import "time"

// KeptRequest is a request with an idempotency key, and its answer.
type KeptRequest struct {
	ID          string // identifies sender and key
	Caller      string // whose keys count against one limit; "" for an unlimited sender
	Fingerprint string // of the request's content
	Owner       string // the process that answers it
	LeaseUntil  time.Time
	ExpiresAt   time.Time

	Status int               // 0 while there is no answer
	Header map[string]string // the relevant headers of the answer; before, only the request's id
	Body   []byte
}
