package history

import "slices"

// standing is the state of a place according to a small model of the guarantees, which
// knows only the changes made to it.
type standing struct {
	frozen bool
	moved  string // replication status
	site   string // "" at home

	moving string // the operation of a running failover
	to     string

	size    int
	members [2]member
}

// member is a service of a place.
type member struct {
	admin    bool
	why      string // the administrator's reason
	over     bool   // a failover disables it
	disabled bool
	reason   string
	wrote    bool // it has written the outcome of the running failover
	lags     bool // it does not know the outcome of its cluster's failover yet
}

// Reasons that services write.
const (
	frozenWord = "frozen"
	overWord   = "failed-over"
)

// standingAt is the state of a place that nothing disables.
func standingAt(looks []look) standing {
	return standing{moved: looks[0].Moved, size: len(looks)}
}

// settle makes a member's row show its causes.
func (m *member) settle(frozen bool) {
	m.disabled = m.admin || m.over || frozen
	switch {
	case !m.disabled:
		m.reason = ""
	case frozen && m.reason == frozenWord, m.over && m.reason == overWord, m.admin && m.reason == m.why:
	case frozen:
		m.reason = frozenWord
	case m.over:
		m.reason = overWord
	default:
		m.reason = m.why
	}
}

// later returns the states that a place may reach without a request: services write a
// failover's outcome before its operation ends. Lists hide that a service failing back
// is enabled; a frozen one shows that as the reason.
func (st standing) later() []standing {
	all := []standing{st}
	if st.moving == "" {
		return all
	}
	for i := range st.size {
		for _, s := range slices.Clone(all) {
			m := &s.members[i]
			if m.wrote {
				continue
			}
			m.wrote = true
			switch {
			case s.to != home:
				m.over, m.disabled, m.reason = true, true, overWord
			case s.frozen:
				m.reason = frozenWord
			}
			all = append(all, s)
		}
	}
	return all
}

// what is a change or an observation of a place.
type what struct {
	do        string // list, list of clusters, freeze, thaw, disable, enable, begin and end of a failover
	member    int
	detail    string // a reason, a site
	operation string // of a failover
	state     string // of its end
	refused   bool   // because nothing would change
	shows     [2]look
}

// after returns the possible states after w; none when w is impossible.
func (st standing) after(w what) []standing {
	var all []standing
	for _, s := range st.later() {
		switch {
		case !s.take(w):
		case w.do == "thaw" && !w.refused:
			all = append(all, s.thawed()...)
		default:
			all = append(all, s)
		}
	}
	return all
}

// thawed returns the possible states after a thaw: the service that got the command has
// emptied its reason, or shows a remaining cause. In a cluster that is one of the
// members.
func (st standing) thawed() []standing {
	var all []standing
	for i := range st.size {
		s := st
		s.members[i].reason = ""
		s.members[i].settle(false)
		all = append(all, s)
	}
	return all
}

func (st *standing) take(w what) bool {
	switch w.do {
	case "list":
		return st.shown(w.shows)
	case "list of clusters":
		l := w.shows[0]
		return l.Frozen == st.frozen && l.Moved == st.movedTo() && l.Site == st.site
	case "freeze", "thaw":
		want := w.do == "freeze"
		if w.refused {
			return st.frozen == want
		}
		if st.frozen == want {
			return false
		}
		st.frozen = want
		for i := range st.size {
			m := &st.members[i]
			if want {
				m.reason = frozenWord
			}
			m.settle(want)
		}
	case "disable":
		m := &st.members[w.member]
		m.admin, m.why, m.disabled, m.reason = true, w.detail, true, w.detail
	case "enable":
		if w.refused || st.frozen {
			return w.refused && st.frozen
		}
		m := &st.members[w.member]
		*m = member{wrote: m.wrote, lags: m.lags}
	case "begin":
		return st.begin(w)
	default:
		return st.end(w)
	}
	return true
}

func (st *standing) begin(w what) bool {
	if st.moving != "" {
		return false
	}
	st.moving, st.to = w.operation, w.detail
	for i := range st.size {
		st.members[i].wrote = false
	}
	return true
}

func (st *standing) end(w what) bool {
	if st.moving != w.operation {
		return false
	}
	to := st.to
	st.moving, st.to = "", ""
	if w.state != "done" {
		return true
	}
	for i := range st.size {
		m := &st.members[i]
		if !m.wrote && st.size == 1 {
			return false
		}
		m.lags = !m.wrote
		if to == home {
			m.over = false
			m.settle(st.frozen)
		}
	}
	st.moved, st.site = overWord, to
	if to == home {
		st.moved, st.site = "enabled", ""
	}
	return true
}

// movedTo is the replication status.
func (st *standing) movedTo() string {
	if st.moving != "" {
		return "failing-over"
	}
	return st.moved
}

// shown reports whether a list may show this. A cluster member that missed the end of a
// failover may show anything but a wrong frozen, until it shows what the others do.
func (st *standing) shown(shows [2]look) bool {
	moved := st.movedTo()
	for i := range st.size {
		m, l := &st.members[i], shows[i]
		same := l.Disabled == m.disabled && l.Reason == m.reason && l.Moved == moved && l.Site == st.site
		if l.Frozen != st.frozen || !same && !m.lags {
			return false
		}
		m.lags = m.lags && !same
	}
	return true
}
