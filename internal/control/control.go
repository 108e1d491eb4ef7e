package control

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"

	"stoker/internal/cinder"
)

// Options are what a Control is made of. All fields but Notifier are required.
type Options struct {
	Store   Store
	Fleet   Fleet
	Logs    Logs
	Loggers Loggers // of this process: what binary cinder-api means
	Log     *slog.Logger

	Notifier Notifier // nil to notify nobody

	Host  string // the name this process goes by in get-log
	Owner string // the name this process owns operations by: Host, a colon, and what is unique to it
	// Alone says that no other process of that Host lives, and that services live
	// in this one: an operation of another Owner of Host is a dead one's, and so is
	// its command.
	Alone bool

	DownTime         time.Duration // service_down_time
	PoolsTimeout     time.Duration // how long a list waits for the scheduler
	LogTimeout       time.Duration // how long get-log waits for a service
	ResponseTimeout  time.Duration // rpc_response_timeout: the deadline of a freeze or thaw
	FailoverExpiry   time.Duration // how long a failover may wait in a queue
	FailoverDeadline time.Duration // after it an open failover is overdue
	Watch            time.Duration // how long what a hung process may still carry out is watched
	Retention        time.Duration // how long the journal keeps operations
	Keys             int           // how many idempotency keys one caller may leave; 0 for any number
	Lease            time.Duration // an operation not renewed for so long may be taken over
}

// settleTimeout bounds the transaction that ends an operation. It does not hang
// on the client's patience: who gave up waiting still gets a settled operation.
const settleTimeout = 15 * time.Second

// Control carries out what administrators ask for. It is safe for concurrent use.
type Control struct {
	o     Options
	newID func() string
	wake  chan struct{} // tells Run that an operation waits to be settled

	clock   clock
	feed    feed
	notices chan notice
	waiting ids // operations whose request waits for the answer
	pools   *pools

	disagree map[string]time.Time // since when members disagree with their cluster; Run's alone
	proofs   map[string]time.Time // when a failover's service was last looked for; Run's alone
	clusters time.Time            // when Run looked at the clusters last
	pruned   time.Time            // when Run looked for old operations last
}

// New makes a Control. Nothing runs until Run is called.
func New(o Options) *Control {
	return &Control{
		o: o, newID: newID, clock: clock{began: time.Now()}, wake: make(chan struct{}, 1), pools: newPools(), notices: make(chan notice, noticeBacklog),
		disagree: map[string]time.Time{}, proofs: map[string]time.Time{},
	}
}

// newID is a UUID that sorts by time, as the journal is read.
func newID() string {
	return uuid.Must(uuid.NewV7()).String()
}

// operation begins the journal entry of a change.
func (c *Control) operation(ctx context.Context, tx Tx, id string, kind cinder.OperationKind) cinder.Operation {
	now := tx.Now()
	return cinder.Operation{
		ID: id, Kind: kind, State: cinder.OpOpen, Caller: cinder.CallerFrom(ctx),
		Owner: c.o.Owner, LeaseUntil: now.Add(c.o.Lease), Deadline: now, StartedAt: now,
	}
}

// dead says whether an owner is a process before this one that is certain to be gone.
func (c *Control) dead(owner string) bool {
	return c.o.Alone && owner != c.o.Owner && strings.HasPrefix(owner, c.o.Host+":")
}

// update is a transaction that changes what the fleet looks like.
func (c *Control) update(ctx context.Context, fn func(Tx) error) error {
	defer c.pools.forget()
	return c.o.Store.Update(ctx, fn)
}

// detached is a context for work that must not end with the request that asked
// for it, with a bound of its own.
func detached(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), timeout)
}
