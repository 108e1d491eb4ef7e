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

// Once begins a request that its sender may send again under the same key: id is
// that of sender and key together, fingerprint that of what is asked for. It
// returns the answer that is kept, or nil when the request is to be carried out:
// then Answered ends it, or Forget when nothing was changed, or Doubt. It fails with
// ErrOtherRequest when the key was used for something else, and with KindConflict
// when the first request is under way or was cut off: the operation, if it came so
// far, says what came of it.
func (c *Control) Once(ctx context.Context, id, fingerprint string) (kept *cinder.KeptRequest, op string, err error) {
	underWay := false
	err = c.o.Store.Update(ctx, func(tx Tx) error {
		kept, underWay = nil, false
		r, err := tx.Request(ctx, id)
		switch {
		case cinder.KindOf(err) == cinder.KindNotFound, err == nil && r.ExpiresAt.Before(tx.Now()):
		case err != nil:
			return err
		case r.Fingerprint != fingerprint:
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
			ID: id, Fingerprint: fingerprint, Owner: c.o.Owner, ExpiresAt: now.Add(keptFor),
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
