package policy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"stoker/internal/cinder"
)

// Options are what an Enforcer is made of: [oslo_policy], and what it knows of
// the process around it.
type Options struct {
	File string   // policy_file; one that is not there is none, and "" none ever
	Dirs []string // policy_dirs: every file in them that is not hidden, by name, over those before
	// Find is where a file or directory of that name may be, the likeliest place
	// first; nil is the name as it is. It is asked again each time.
	Find func(name string) []string

	DefaultRule        string // policy_default_rule: what counts for names that there is no rule for; "" is none
	EnforceScope       bool   // enforce_scope
	EnforceNewDefaults bool   // enforce_new_defaults
	Remote             Remote

	Defaults []Default // nil is Defaults()

	// Interval is how often files are looked at, at most: at a request. 0 is 100 ms.
	Interval time.Duration
	Log      *slog.Logger
}

// defaultInterval is how long a changed file may go unnoticed.
const defaultInterval = 100 * time.Millisecond

// Enforcer decides. It is safe for concurrent use.
type Enforcer struct {
	o     Options
	rules atomic.Pointer[ruleset]
	next  atomic.Int64 // when files are looked at next, in nanoseconds since began
	began time.Time

	loading sync.Mutex // guards what follows; who finds it locked goes on with the rules there are
	seen    []stamp
	loaded  map[string]fileRule

	health atomic.Pointer[Health]
}

// Health is how the policy does.
type Health struct {
	// Err is why the files as they are now are not in force; nil when they are.
	Err error
	// Since is when Err began, or when the rules in force were read.
	Since time.Time
	// Reads and Failures count how often the files were read, and how often that failed.
	Reads, Failures int
	// Broken are the rules in force that will not do what they were meant to.
	Broken []string
}

// New reads the files and makes an Enforcer. It fails when one of them cannot be
// read or is no mapping.
func New(o Options) (*Enforcer, error) {
	if o.Defaults == nil {
		o.Defaults = Defaults()
	}
	if o.Interval == 0 {
		o.Interval = defaultInterval
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	e := &Enforcer{o: o, began: time.Now()}
	e.health.Store(&Health{})
	if err := e.load(context.Background()); err != nil {
		return nil, fmt.Errorf("read the policy: %w", err)
	}
	return e, nil
}

// Allow fails with KindForbidden when the caller may not do what the rule stands
// for, in Cinder's words, and with KindUnavailable when a policy server that a
// rule refers to cannot be asked.
func (e *Enforcer) Allow(ctx context.Context, caller cinder.Caller, rule string) error {
	e.refresh(ctx)
	ok, err := e.rules.Load().allows(ctx, &caller, rule, nil)
	if ok && err == nil {
		return nil
	}
	if cinder.KindOf(err) == cinder.KindUnavailable {
		return err
	}
	denied := cinder.Errorf(cinder.KindForbidden, "Policy doesn't allow %s to be performed.", rule)
	if err != nil {
		denied.Err = err
		e.o.Log.WarnContext(ctx, "a policy rule has no verdict and denies", "rule", rule, "error", err, "request_id", caller.RequestID)
	}
	return denied
}

// refresh reads the files again when they have changed. Whoever comes while
// another reads does not wait.
func (e *Enforcer) refresh(ctx context.Context) {
	now := int64(time.Since(e.began))
	if now < e.next.Load() || !e.loading.TryLock() {
		return
	}
	defer e.loading.Unlock()
	_ = e.load(ctx) // told by Health, and logged
}

// load looks at the files, and reads them when they have changed. It keeps the
// rules in force when it cannot.
func (e *Enforcer) load(ctx context.Context) error {
	defer func() { e.next.Store(int64(time.Since(e.began) + e.o.Interval)) }()
	files, err := e.o.survey(e.seen)
	if err == nil && e.rules.Load() != nil && unchanged(e.seen, files) {
		return e.health.Load().Err
	}
	if err == nil && e.vanished(files) {
		err = fmt.Errorf("%s is not there any more", files[0].path)
	}
	var rules map[string]fileRule
	if err == nil {
		rules, err = read(files)
	}
	if err != nil {
		e.failed(ctx, err)
		return err
	}
	e.seen = files
	e.accept(ctx, rules)
	return nil
}

// vanished says whether the policy file was there before and is not now: then
// nobody has decided yet to do without it.
func (e *Enforcer) vanished(files []stamp) bool {
	return e.o.File != "" && len(files) > 0 && files[0].info == nil &&
		len(e.seen) > 0 && e.seen[0].info != nil
}

// failed notes why the files are not in force: once for each reason.
func (e *Enforcer) failed(ctx context.Context, err error) {
	h := *e.health.Load()
	known := h.Err != nil && h.Err.Error() == err.Error()
	h.Err = err
	h.Failures++
	if !known {
		h.Since = time.Now()
	}
	e.health.Store(&h)
	if !known && e.rules.Load() != nil {
		e.o.Log.ErrorContext(ctx, "the policy cannot be read: the last good rules stay in force", "error", err)
	}
}

// accept puts rules in force.
func (e *Enforcer) accept(ctx context.Context, files map[string]fileRule) {
	h := *e.health.Load()
	mended := h.Err != nil
	h.Reads++
	if e.rules.Load() != nil && !mended && equal(e.loaded, files) {
		e.health.Store(&h)
		return
	}
	rules := newRuleset(&e.o, files)
	h.Err, h.Since, h.Broken = nil, time.Now(), nil
	for _, r := range rules.sorted(e.o.Defaults) {
		if len(r.Problems) == 0 {
			continue
		}
		h.Broken = append(h.Broken, r.Name)
		e.o.Log.WarnContext(ctx, "a policy rule will not do what it says", "rule", r.Name, "source", r.Source, "problem", strings.Join(r.Problems, "; "))
	}
	if e.rules.Load() != nil {
		e.o.Log.InfoContext(ctx, "the policy was read again", "rules", len(files))
	}
	e.loaded = files
	e.health.Store(&h)
	e.rules.Store(rules)
}

func equal(a, b map[string]fileRule) bool {
	if len(a) != len(b) {
		return false
	}
	for name, f := range a {
		g, ok := b[name]
		if !ok || f.path != g.path || quotedAny(f.value) != quotedAny(g.value) {
			return false
		}
	}
	return true
}

// quotedAny tells values of different types from one another.
func quotedAny(v any) string { return fmt.Sprintf("%#v", v) }

// Health looks at the files, as a request does, and says how the policy does.
func (e *Enforcer) Health() Health {
	e.refresh(context.Background())
	return *e.health.Load()
}

// Rules are the rules in force: those with a default first, then the files' own.
func (e *Enforcer) Rules() []Rule { return e.rules.Load().sorted(e.o.Defaults) }

// allows decides about a caller. The steps are told to explain when it is not nil.
func (s *ruleset) allows(ctx context.Context, caller *cinder.Caller, rule string, explain *Step) (bool, error) {
	a := &callerAttributes{caller: caller, roles: caller.Roles}
	if caller.IsAdmin {
		a.admin = true
		if !slices.Contains(a.roles, "admin") {
			a.roles = append(slices.Clip(a.roles), "admin")
		}
	} else {
		// Who is an administrator is decided against his own attributes.
		isAdmin, err := s.decide(&evaluation{ctx: ctx, rules: s, rule: ruleAdmin, caller: a, target: a})
		a.admin = isAdmin
		if err != nil {
			a.admin = fmt.Errorf("whether the caller is an administrator: %w", err)
		}
	}
	return s.decide(&evaluation{ctx: ctx, rules: s, rule: rule, caller: a, target: target{caller}, explain: explain})
}

// ruleAdmin decides who is_admin:True passes for.
const ruleAdmin = "context_is_admin"

// errNoRule is the answer to a rule that nobody wrote.
var errNoRule = errors.New("there is no such rule")

// decide evaluates a rule by name.
func (s *ruleset) decide(e *evaluation) (bool, error) {
	r := s.find(e.rule)
	if r == nil {
		return false, errNoRule
	}
	if own := s.rules[e.rule]; own != nil && s.scope && own.Default.ScopeTypes != nil {
		if scope := scopeOf(e.caller); !slices.Contains(own.Default.ScopeTypes, scope) {
			e.note("the token is for a %s: it must be for one of %s", scope, strings.Join(own.Default.ScopeTypes, ", "))
			return false, nil
		}
	}
	return e.run(r.check)
}

// scopeOf is what a token is for.
func scopeOf(a attributes) string {
	if v, _ := a.attribute("system"); v != nil && v != "" {
		return "system"
	}
	if v, _ := a.attribute("domain_id"); v != nil && v != "" {
		return "domain"
	}
	return "project"
}
