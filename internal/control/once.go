package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"stoker/internal/cinder"
)

const (
	// keptFor is how long an answer is given again to the same request.
	keptFor = 24 * time.Hour
	// headerRequest is under which header the id of a request is kept.
	headerRequest = "X-Openstack-Request-Id"
)

// ErrOtherRequest says that a key was used for another request before.
var ErrOtherRequest = errors.New("the key was used for another request")

// KeysFullError says that a caller has left as many keys as one may.
type KeysFullError struct {
	Most  int
	Until time.Time // when the next of them expires
}

// Error implements error.
func (e *KeysFullError) Error() string {
	return fmt.Sprintf("the caller has left %d keys, until %s", e.Most, e.Until.Format(time.RFC3339))
}

// Key is what a request is sent under that may be sent again. Each is a digest.
type Key struct {
	ID          string // of sender and key together
	Caller      string // of the sender, whose keys are counted
	Fingerprint string // of what is asked for
}

// Once begins a request that its sender may send again under the same key. It
// returns the answer that is kept, or nil when the request is to be carried out:
// then Answered ends it, or Forget when nothing was changed, or Doubt. It fails with
// ErrOtherRequest when the key was used for something else, with a KeysFullError
// when it is one too many, and with KindConflict when the first request is under
// way or was cut off: the operation, if it came so far, says what came of it.
func (c *Control) Once(ctx context.Context, key Key) (kept *cinder.KeptRequest, op string, err error) {
	full, err := c.keysFull(ctx, key.Caller)
	if err != nil {
		return nil, "", fmt.Errorf("idempotency key: %w", err)
	}
	underWay := false
	err = c.o.Store.Update(ctx, func(tx Tx) error {
		kept, underWay = nil, false
		r, err := tx.Request(ctx, key.ID)
		switch {
		case cinder.KindOf(err) == cinder.KindNotFound && full != nil:
			return full
		case cinder.KindOf(err) == cinder.KindNotFound, err == nil && r.ExpiresAt.Before(tx.Now()):
		case err != nil:
			return err
		case r.Fingerprint != key.Fingerprint:
			return ErrOtherRequest
		case r.Status != 0:
			kept = &r
			return nil
		case tx.Now().Before(r.LeaseUntil) && !c.dead(r.Owner):
			if most := tx.Now().Add(c.requestLease()); r.LeaseUntil.After(most.Add(slack)) { // the clock was set back
				r.LeaseUntil, r.ExpiresAt = most, tx.Now().Add(keptFor)
				if err := tx.KeepRequest(ctx, r); err != nil {
					return err
				}
			}
			underWay = true
			return nil
		default: // its process is gone; what it began is in the journal
			if op, err = tx.OperationOf(ctx, r.Header[headerRequest]); err != nil {
				return err
			}
			if op != "" {
				return cinder.Errorf(cinder.KindConflict, "The first request with this Idempotency-Key was cut off: operation %s says what came of it.", op)
			}
		}
		now := tx.Now()
		return tx.KeepRequest(ctx, cinder.KeptRequest{
			ID: key.ID, Caller: key.Caller, Fingerprint: key.Fingerprint, Owner: c.o.Owner, ExpiresAt: now.Add(keptFor),
			LeaseUntil: now.Add(c.requestLease()),
			Header:     map[string]string{headerRequest: cinder.CallerFrom(ctx).RequestID},
		})
	})
	if err == nil && underWay {
		err = cinder.Errorf(cinder.KindConflict, "A request with this Idempotency-Key is under way.")
	}
	if err != nil {
		return nil, op, fmt.Errorf("idempotency key: %w", err)
	}
	return kept, "", nil
}

// requestLease is how long a request may take.
func (c *Control) requestLease() time.Duration { return c.o.ResponseTimeout + 2*settleTimeout }

// keysFull is what a new key of the caller fails with; nil when there is room for
// one. It is asked before the transaction, which keeps others waiting: of many at
// the same moment, a few may get past it.
func (c *Control) keysFull(ctx context.Context, caller string) (*KeysFullError, error) {
	if c.o.Keys == 0 {
		return nil, nil
	}
	until, err := c.o.Store.KeysFull(ctx, caller, c.o.Keys)
	if err != nil || until.IsZero() {
		return nil, err
	}
	return &KeysFullError{Most: c.o.Keys, Until: until}, nil
}

// Answered keeps the answer to a request that Once has begun.
func (c *Control) Answered(ctx context.Context, id string, status int, header map[string]string, body []byte) error {
	return c.endOnce(ctx, id, func(tx Tx, r cinder.KeptRequest) error {
		r.Status, r.Header, r.Body = status, header, body
		return tx.KeepRequest(ctx, r)
	})
}

// Forget ends a request that Once has begun and that has changed nothing: it may
// be tried again.
func (c *Control) Forget(ctx context.Context, id string) error {
	return c.endOnce(ctx, id, func(tx Tx, r cinder.KeptRequest) error { return tx.ForgetRequest(ctx, r.ID) })
}

// Doubt ends a request that Once has begun when it is not known whether it has
// changed anything, as the database was lost while it committed. The journal knows:
// when it has the operation, whoever asks again is told which it is; when not, the
// request may be tried again.
func (c *Control) Doubt(ctx context.Context, id string) error {
	return c.endOnce(ctx, id, func(tx Tx, r cinder.KeptRequest) error {
		op, err := tx.OperationOf(ctx, r.Header[headerRequest])
		if err != nil {
			return err
		}
		if op == "" {
			return tx.ForgetRequest(ctx, r.ID)
		}
		r.LeaseUntil = tx.Now()
		return tx.KeepRequest(ctx, r)
	})
}

func (c *Control) endOnce(ctx context.Context, id string, end func(Tx, cinder.KeptRequest) error) error {
	ctx, cancel := detached(ctx, settleTimeout)
	defer cancel()
	err := c.o.Store.Update(ctx, func(tx Tx) error {
		r, err := tx.Request(ctx, id)
		if cinder.KindOf(err) == cinder.KindNotFound || err == nil && (r.Owner != c.o.Owner || r.Status != 0) {
			return nil // it took so long that somebody else has begun anew
		}
		if err != nil {
			return err
		}
		return end(tx, r)
	})
	if err != nil {
		return fmt.Errorf("idempotency key: %w", err)
	}
	return nil
}
