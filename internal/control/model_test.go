package control_test

import (
	"context"
	"flag"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"stoker/internal/app"
	"stoker/internal/cinder"
	"stoker/internal/control"
	"stoker/internal/store"
)

// The times of the model.
const (
	simulatedTimeout = 20 * time.Second // rpc_response_timeout
	simulatedDown    = 60 * time.Second
	simulatedWatch   = 10 * time.Minute
	gameLength       = 40 // steps, at least
	tables           = 4  // at which games are played at the same time
)

// TestModel plays administrators, API processes and services against one another:
// commands are delayed, lost, refused and carried out late, processes hang, and
// die at any commit. After each step, what lists show is compared with a small
// model of the rules (G1 to G6). In the end everything is brought back to life:
// then nothing may be left open, and the backends must be as the rows say. What
// callers have seen must be linearizable.
//
// STOKER_MODEL_STEPS says how many steps are taken, -rapid.seed which. Without
// either the games are the same each time: what fails then is what was changed.
// New ones are played by make torture.
func TestModel(t *testing.T) {
	total, seed := 10_000, rand.Uint64()
	if text := os.Getenv("STOKER_MODEL_STEPS"); text != "" {
		var err error
		if total, err = strconv.Atoi(text); err != nil {
			t.Fatalf("STOKER_MODEL_STEPS: %v", err)
		}
	} else {
		seed = 20261124
	}
	if f := flag.Lookup("rapid.seed"); f.Value.String() == "0" {
		if err := f.Value.Set(strconv.FormatUint(seed, 10)); err != nil {
			t.Fatal(err)
		}
	}
	if testing.Short() {
		total = 400
	}
	if err := flag.Set("rapid.checks", strconv.Itoa(max(1, total/gameLength))); err != nil {
		t.Fatal(err)
	}
	// rapid draws slices that are hardly longer than they must be. A game that is
	// lost is not shortened: what does not matter becomes a list.
	steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{Do: evenly(t, len(moves())), Who: evenly(t, 12), How: evenly(t, 6)}
	}), gameLength, gameLength+10)
	again := flag.Lookup("rapid.failfile").Value.String() != ""
	// Each table draws all games, and plays those that are its own: so the seed alone
	// says which games are played, and at which table one that was lost is lost again.
	for table := range uint32(tables) {
		t.Run(fmt.Sprint("table ", table), func(t *testing.T) {
			t.Parallel()
			lost := false
			rapid.Check(t, func(rt *rapid.T) {
				k := kind{failovers: rapid.Bool().Draw(rt, "failovers"), shared: rapid.IntRange(0, 3).Draw(rt, "shared") == 0}
				steps := steps.Draw(rt, "steps")
				if !again && !lost && tableOf(k, steps) != table {
					return
				}
				if err := game(t, k, steps); err != nil {
					lost = true // what it is simplified to is played here
					rt.Fatal(err)
				}
			})
		})
	}
}

// tableOf is the table at which a game is played.
func tableOf(k kind, steps []step) uint32 {
	h := fnv.New32a()
	fmt.Fprint(h, k, steps)
	return h.Sum32() % tables
}

// game plays one game, and says what went wrong in it.
func game(t *testing.T, k kind, steps []step) error {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{URL: "sqlite:///" + databases.New(t)})
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	synctest.Test(t, func(t *testing.T) { err = play(t.Context(), db, k, steps) })
	return err
}

// player is a game under way.
type player struct {
	ctx       context.Context
	w         *world
	db        *store.DB
	kind      kind
	rules     rules
	processes []*process
	calls     []*call
	born      int
	trace     []string
	lister    *process // lists, and does nothing else

	journaled atomic.Int64       // see mortal
	read      int64              // journaled, when ops were read
	ops       []cinder.Operation // of the journal, the newest first
}

// process is an API process.
type process struct {
	*control.Control
	m    *mortal
	name string
}

func (p *player) start() *process {
	p.born++
	m := &mortal{StorePort: app.Store(p.db), journaled: &p.journaled}
	name := fmt.Sprintf("api-%d", p.born)
	return &process{m: m, name: name, Control: control.New(control.Options{
		Store: m, Fleet: mortalFleet{p.w, m}, Logs: &fleet{}, Loggers: &loggers{}, Log: slog.New(slog.DiscardHandler),
		Host: "ctl", Owner: name, DownTime: simulatedDown, PoolsTimeout: time.Second, LogTimeout: time.Second,
		ResponseTimeout: simulatedTimeout, FailoverExpiry: simulatedTimeout, FailoverDeadline: 5 * time.Minute,
		Lease: 20 * time.Second, Watch: simulatedWatch,
	})}
}

// call is what a caller waits for.
type call struct {
	move, host string
	process    *process
	began      int // the step
	ended      int
	done       chan struct{}
	op         cinder.Operation
	err        error
}

// request is what the journal knows the call by.
func (c *call) request() string { return fmt.Sprintf("req-%d", c.began) }

func play(ctx context.Context, db *store.DB, k kind, steps []step) error {
	p := &player{ctx: ctx, db: db, kind: k, w: newWorld(db), read: -1}
	p.lister = p.start()
	defer func() {
		for _, x := range p.processes {
			x.m.kill()
		}
		time.Sleep(time.Hour) //nolint:forbidigo // Time in the bubble is ours: whatever still waits ends.
	}()
	if err := p.w.populate(ctx); err != nil {
		return err
	}
	for range 1 + len(steps)%3 {
		p.processes = append(p.processes, p.start())
	}
	p.rules = newRules(p.w.erred)
	for i, s := range steps {
		if err := p.take(i, s); err != nil {
			return p.wrong(err)
		}
	}
	if err := p.revive(); err != nil {
		return p.wrong(err)
	}
	if k.failovers {
		return nil
	}
	ops, err := p.journal()
	if err != nil {
		return err
	}
	p.rules.settled(ops)
	if err := linearizable(p.rules.history); err != nil {
		return p.wrong(err)
	}
	return nil
}

func (p *player) wrong(err error) error {
	return fmt.Errorf("%w\nafter:\n  %s", err, strings.Join(p.trace, "\n  "))
}

// take takes one step, and checks the rules.
func (p *player) take(i int, s step) error {
	beats, err := p.heartbeats()
	if err != nil {
		return err
	}
	move := p.kind.move(s)
	host := p.w.hosts()[s.Who%3]
	x := p.processes[(s.Who/3)%len(p.processes)]
	p.trace = append(p.trace, fmt.Sprintf("%2d %s %s (%s, %d)", i, move, host, x.name, s.How))
	if err := p.move(i, move, host, x, s.How); err != nil {
		return fmt.Errorf("%s: %w", move, err)
	}
	synctest.Wait()
	if err := p.collect(i); err != nil {
		return err
	}
	if move != "pass" && move != "wait" && move != "restart" {
		after, err := p.heartbeats()
		if err != nil {
			return err
		}
		if after != beats {
			return fmt.Errorf("G5: a heartbeat was written: %s, before %s", after, beats)
		}
	}
	return p.check(i)
}

func (p *player) move(i int, move, host string, x *process, how int) error {
	w := p.w
	switch move {
	case "freeze", "thaw", "disable", "enable", "failover", "failback", "abort":
		if len(p.calls) < 4 {
			p.call(i, move, host, x, how)
		}
	case "again":
		return p.again(host)
	case "serve", "raise", "refuse", "lose", "twice":
		how := map[string]string{"serve": "done", "raise": "raise", "refuse": "refuse", "lose": "lost", "twice": "twice"}[move]
		_, err := w.serve(host, how)
		return err
	case "hang":
		w.hang(host)
	case "go on":
		return w.goOn(host)
	case "kill":
		w.kill(host)
	case "restart":
		return w.restart(host)
	case "look":
		p.look(x)
	case "pass":
		return w.pass(time.Duration(1+how) * time.Second)
	case "wait":
		return w.pass(time.Duration(10+how*10) * time.Second)
	case "elsewhere":
		return p.elsewhere(i, host, how)
	case "kill api":
		p.replace(x)
	case "api dies soon":
		x.m.mu.Lock()
		x.m.budget = 1 + how%3
		x.m.mu.Unlock()
	}
	return nil
}

// look lets a process recover what there is to recover. Commands that it sends
// wait for later steps.
func (p *player) look(x *process) {
	go func() { _ = x.Look(p.ctx) }()
}

// replace kills a process and starts another one.
func (p *player) replace(x *process) {
	x.m.kill()
	for j := range p.processes {
		if p.processes[j] == x {
			p.processes[j] = p.start()
		}
	}
}

// call begins what a caller wants.
func (p *player) call(i int, move, host string, x *process, how int) {
	c := &call{move: move, host: host, process: x, began: i, ended: -1, done: make(chan struct{})}
	p.calls = append(p.calls, c)
	sel := control.Selector{Host: host}
	ctx := cinder.WithCaller(p.ctx, cinder.Caller{RequestID: c.request()})
	go func() {
		defer close(c.done)
		switch move {
		case "freeze":
			c.op, c.err = x.Freeze(ctx, sel)
		case "thaw":
			c.op, c.err = x.Thaw(ctx, sel)
		case "disable":
			reason := fmt.Sprintf("reason %d", i)
			c.op, c.err = x.DisableWithReason(ctx, host, cinder.BinaryVolume, &reason)
		case "enable":
			c.op, c.err = x.Enable(ctx, host, cinder.BinaryVolume)
		case "failover":
			site := []string{"site-b", "site-c"}[how%2]
			c.op, c.err = x.Failover(ctx, sel, &site)
		case "failback":
			c.op, c.err = x.Failover(ctx, sel, new("default"))
		case "abort":
			c.op, c.err = p.abort(x)
		}
	}()
}

// abort aborts the oldest operation that is open, if any is.
func (p *player) abort(x *process) (cinder.Operation, error) {
	ops, err := p.db.Operations(p.ctx, cinder.OperationQuery{State: new("open")})
	if err != nil || len(ops) == 0 {
		return cinder.Operation{}, err
	}
	return x.Abort(p.ctx, ops[len(ops)-1].ID)
}

// collect takes in the calls that have been answered, and checks that the answers
// agree with the journal.
func (p *player) collect(i int) error {
	var waiting []*call
	for _, c := range p.calls {
		select {
		case <-c.done:
			c.ended = i
			if err := p.answered(c); err != nil {
				return err
			}
		default:
			waiting = append(waiting, c)
		}
	}
	p.calls = waiting
	// A process that has died is replaced: somebody always is.
	for _, x := range p.processes {
		if x.m.dies() {
			p.replace(x)
		}
	}
	return nil
}

func (p *player) answered(c *call) error {
	p.rules.note(c)
	if c.process.m.dies() || c.op.ID == "" || c.move == "abort" {
		return nil
	}
	ops, err := p.journal()
	if err != nil {
		return err
	}
	at := slices.IndexFunc(ops, func(op cinder.Operation) bool { return op.ID == c.op.ID })
	if at < 0 {
		return fmt.Errorf("G6: %s was answered, and is not in the journal", c.move)
	}
	op := &ops[at]
	switch kind := cinder.KindOf(c.err); {
	case c.err == nil && c.move != "failover" && c.move != "failback" && op.State != cinder.OpDone:
		return fmt.Errorf("G2: %s of %s succeeded, and is %s: %s", c.move, c.host, op.State, op.Outcome)
	case c.err != nil && kind != cinder.KindTimeout && kind != cinder.KindInternal && op.State == cinder.OpDone:
		return fmt.Errorf("G2: %s of %s failed (%w), and is done", c.move, c.host, c.err)
	}
	return nil
}

// heartbeats are those of all rows, as text.
func (p *player) heartbeats() (string, error) {
	v, err := p.db.View(p.ctx, cinder.ServiceQuery{})
	if err != nil {
		return "", err
	}
	var all strings.Builder
	for _, s := range v.Services {
		fmt.Fprintf(&all, "%s %d %d; ", s.Host, s.UpdatedAt.Unix(), s.ReportCount)
	}
	return all.String(), nil
}

// journal is all of the journal, the newest first. Most steps of most games write
// nothing to it, and to read it is most of the work: it is read when it was written to.
func (p *player) journal() ([]cinder.Operation, error) {
	if now := p.journaled.Load(); now != p.read {
		ops, err := p.db.Operations(p.ctx, cinder.OperationQuery{})
		if err != nil {
			return nil, err
		}
		p.read, p.ops = now, ops
	}
	return p.ops, nil
}

// check compares what a list shows with the rules.
func (p *player) check(i int) error {
	if err := p.lookAfterLate(); err != nil {
		return err
	}
	ops, err := p.journal()
	if err != nil {
		return err
	}
	p.rules.learn(ops)
	l, err := p.lister.Services(p.ctx, cinder.ServiceQuery{})
	if err != nil {
		return err
	}
	p.rules.listed(i, l.Services)
	return p.rules.hold(l.Services, ops)
}
