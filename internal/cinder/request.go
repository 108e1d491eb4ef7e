package cinder

import "time"

// KeptRequest is a request that its sender may send once more under the same key,
// and what it was answered with.
type KeptRequest struct {
	ID          string // of its sender and key together
	Caller      string // whose keys are counted together; "" for one that is not counted
	Fingerprint string // of what was asked for
	Owner       string // the process that answers it
	LeaseUntil  time.Time
	ExpiresAt   time.Time

	Status int               // 0 while it is not answered
	Header map[string]string // of the answer, as far as it matters; the request's id before
	Body   []byte
}
