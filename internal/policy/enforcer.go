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

// Options configure an Enforcer, mostly from [oslo_policy].
type Options struct {
	File string   // policy_file; it may be missing, and "" means none
	Dirs []string // policy_dirs: every file in them that is not hidden, by name, overriding earlier ones
	// Find returns the paths to try for a file or directory of that name, in order; nil
	// uses the name itself. It is called on every check for changes.
	Find func(name string) []string

	DefaultRule        string // policy_default_rule: applies to names without a rule; "" means none
	EnforceScope       bool   // enforce_scope
	EnforceNewDefaults bool   // enforce_new_defaults
	Remote             Remote

	Defaults []Default // nil means Defaults()

	// Interval is the minimum time between checks for changed files, which requests
	// trigger. 0 means 100 ms.
	Interval time.Duration
	Log      *slog.Logger
}

// defaultInterval is how long a changed file may go unnoticed.
const defaultInterval = 100 * time.Millisecond

// Enforcer makes decisions. It is safe for concurrent use.
type Enforcer struct {
	o     Options
	rules atomic.Pointer[ruleset]
	next  atomic.Int64 // time of the next check for changes, in nanoseconds since began
	began time.Time

	loadMu sync.Mutex // guards the fields below; callers that find it locked use the current rules
	stamps []stamp
	loaded map[string]fileRule

	health atomic.Pointer[Health]
}

// Health describes the state of the policy.
type Health struct {
	// Err is why the current files are not in force; nil when they are.
	Err error
	// Since is when Err first occurred, or when the current rules were loaded.
	Since time.Time
	// Reads and Failures count successful and failed loads.
	Reads, Failures int
	// Broken are the names of rules in force with problems.
	Broken []string
}

// New reads the files and returns an Enforcer. It fails when one of them cannot be read
// or is not a mapping.
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

// Allow fails with KindForbidden, and Cinder's message, when the caller does not pass
// the rule, and with KindUnavailable when a policy server in the rule cannot be asked.
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
		e.o.Log.WarnContext(ctx, "policy rule could not be evaluated and denies", "rule", rule, "error", err, "request_id", caller.RequestID)
	}
	return denied
}

// refresh reloads the files when they have changed. It does not wait for another
// caller's reload.
func (e *Enforcer) refresh(ctx context.Context) {
	now := int64(time.Since(e.began))
	if now < e.next.Load() || !e.loadMu.TryLock() {
		return
	}
	defer e.loadMu.Unlock()
	_ = e.load(ctx) // load reports it in Health and the log
}

// load reloads the files when they have changed. On an error the current rules stay in
// force.
func (e *Enforcer) load(ctx context.Context) error {
	defer func() { e.next.Store(int64(time.Since(e.began) + e.o.Interval)) }()
	files, err := e.o.scan(e.stamps)
	if err == nil && e.rules.Load() != nil && unchanged(e.stamps, files) {
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
	e.stamps = files
	e.accept(ctx, rules)
	return nil
}

// vanished reports whether the policy file disappeared. That is no decision to do
// without one.
func (e *Enforcer) vanished(files []stamp) bool {
	return e.o.File != "" && len(files) > 0 && files[0].info == nil &&
		len(e.stamps) > 0 && e.stamps[0].info != nil
}

// failed records why the files are not in force, and logs each reason once.
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
		e.o.Log.ErrorContext(ctx, "policy files unreadable; the last good rules stay in force", "error", err)
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
		e.o.Log.WarnContext(ctx, "policy rule has problems", "rule", r.Name, "source", r.Source, "problem", strings.Join(r.Problems, "; "))
	}
	if e.rules.Load() != nil {
		e.o.Log.InfoContext(ctx, "policy reloaded", "rules", len(files))
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

// quotedAny distinguishes values of different types.
func quotedAny(v any) string { return fmt.Sprintf("%#v", v) }

// Health checks the files like a request does, and returns the state of the policy.
func (e *Enforcer) Health() Health {
	e.refresh(context.Background())
	return *e.health.Load()
}

// Rules returns the rules in force: those with a default first, then the files' own.
func (e *Enforcer) Rules() []Rule { return e.rules.Load().sorted(e.o.Defaults) }

// allows decides on a caller. It records the steps in explain unless that is nil.
func (s *ruleset) allows(ctx context.Context, caller *cinder.Caller, rule string, explain *Step) (bool, error) {
	a := &callerAttributes{caller: caller, roles: caller.Roles}
	if caller.IsAdmin {
		a.admin = true
		if !slices.Contains(a.roles, "admin") {
			a.roles = append(slices.Clip(a.roles), "admin")
		}
	} else {
		// Whether the caller is an administrator is decided with the caller as the
		// target.
		isAdmin, err := s.decide(&evaluation{ctx: ctx, rules: s, rule: ruleAdmin, caller: a, target: a})
		a.admin = isAdmin
		if err != nil {
			a.admin = fmt.Errorf("whether the caller is an administrator: %w", err)
		}
	}
	return s.decide(&evaluation{ctx: ctx, rules: s, rule: rule, caller: a, target: target{caller}, explain: explain})
}

// ruleAdmin decides is_admin.
const ruleAdmin = "context_is_admin"

// errNoRule is the error for a rule that does not exist.
var errNoRule = errors.New("there is no such rule")

// decide evaluates the rule of an evaluation.
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

// scopeOf is the scope of the caller's token.
func scopeOf(a attributes) string {
	if v, _ := a.attribute("system"); v != nil && v != "" {
		return "system"
	}
	if v, _ := a.attribute("domain_id"); v != nil && v != "" {
		return "domain"
	}
	return "project"
}
