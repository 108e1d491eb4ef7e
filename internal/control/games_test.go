package control_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// step is one move of a game: what is done, by whom, and how.
type step struct{ Do, Who, How int }

// moves are what steps may do; those that stand here more often come more often.
func moves() []string {
	return []string{
		"list", "freeze", "freeze", "freeze", "thaw", "thaw", "thaw", "disable", "enable", "enable", "failover", "failover", "failback",
		"serve", "serve", "serve", "serve", "serve", "raise", "raise", "raise", "refuse", "refuse", "lose", "lose",
		"hang", "go on", "go on", "kill", "restart", "restart", "look", "look", "look", "pass", "pass", "wait",
		"kill api", "api dies soon", "abort", "twice", "again", "elsewhere",
	}
}

// evenly draws one of the first n numbers. rapid's own ranges prefer small ones, and
// so some moves to others.
func evenly(t *rapid.T, n int) int {
	const bits = 10
	drawn := 0
	for range bits {
		drawn *= 2
		if rapid.Bool().Draw(t, "bit") {
			drawn++
		}
	}
	return drawn * n >> bits
}

// kind is what kind of game is played.
type kind struct {
	failovers bool // there are any
	// shared says that another API changes services, too. What it does is told from
	// what a hung service does late only while nothing is watched: so little goes
	// wrong otherwise.
	shared bool
}

// move is what a step of such a game does.
func (k kind) move(s step) string {
	move := moves()[s.Do]
	if k.shared && slices.Contains([]string{"hang", "kill", "lose", "kill api", "api dies soon", "pass"}, move) {
		move = "elsewhere"
	}
	if !k.failovers && (move == "failover" || move == "failback") || !k.shared && move == "elsewhere" {
		move = "list"
	}
	return move
}

// Games that were lost once, as they are played now.
func TestGamesThatWereLost(t *testing.T) {
	const alone, nodea, nodeb, other = 0, 1, 2, 3 // who: a service, members of a cluster; by the second API process
	type played struct {
		move     string
		who, how int
	}
	for _, tt := range []struct {
		name  string
		kind  kind
		moves []played
	}{
		{
			"a thaw is never sent, and a failover is carried out meanwhile: the backend is frozen still",
			kind{failovers: true},
			[]played{
				{"freeze", nodea, 0},
				{"serve", nodea, 0},
				{"api dies soon", nodea, 0},
				{"thaw", nodea, 0},
				{"failover", nodea + other, 0},
				{"serve", nodea, 0},
				{"list", nodea, 0},
			},
		},
		{
			"what is frozen fails to fail over, and is thawed: frozen is no reason any more",
			kind{failovers: true},
			[]played{
				{"freeze", nodea, 0},
				{"serve", nodea, 0},
				{"failover", nodea, 0},
				{"raise", nodea, 0},
				{"look", nodea, 0},
				{"thaw", nodea, 0},
				{"serve", nodea, 0},
			},
		},
		{
			"what is failed over and enabled is disabled, frozen and thawed elsewhere: the disable is given back",
			kind{failovers: true, shared: true},
			[]played{
				{"failover", alone, 0},
				{"serve", alone, 0},
				{"look", alone, 0},
				{"enable", alone, 0},
				{"elsewhere", alone, 0},
				{"elsewhere", alone, 2},
				{"elsewhere", alone, 3},
			},
		},
		{
			"a member hears of a way back in the midst of a thaw: the failover does not disable it any more",
			kind{failovers: true},
			[]played{
				{"failover", nodea, 0},
				{"serve", nodea, 0},
				{"look", nodea, 0},
				{"freeze", nodea, 0},
				{"serve", nodea, 0},
				{"hang", nodeb, 0},
				{"failback", nodea, 0},
				{"serve", nodea, 0},
				{"look", nodea, 0},
				{"wait", nodea, 0},
				{"look", nodea, 0},
				{"thaw", nodea, 0},
				{"go on", nodeb, 0},
				{"serve", nodea, 0},
				{"list", nodea, 0},
			},
		},
		{
			"a member hears of a way back when its cluster has been frozen since: it stays disabled",
			kind{failovers: true},
			[]played{
				{"failover", nodea, 0},
				{"serve", nodea, 0},
				{"look", nodea, 0},
				{"hang", nodeb, 0},
				{"failback", nodea, 0},
				{"serve", nodea, 0},
				{"look", nodea, 0},
				{"wait", nodea, 0},
				{"look", nodea, 0},
				{"freeze", nodea, 0},
				{"serve", nodea, 0},
				{"go on", nodeb, 0},
				{"list", nodeb, 0},
			},
		},
		{
			"a member starts in the midst of a failover to a third site, and is thawed: it is failed over still",
			kind{failovers: true},
			[]played{
				{"failover", nodea, 0},
				{"serve", nodea, 0},
				{"look", nodea, 0},
				{"freeze", nodea, 0},
				{"serve", nodea, 0},
				{"failover", nodea, 1},
				{"kill", nodea, 0},
				{"restart", nodea, 0},
				{"thaw", nodeb, 0},
				{"refuse", nodeb, 0},
				{"serve", nodeb, 0},
				{"list", nodea, 0},
			},
		},
		{
			"a freeze that was given up comes late, and the next one fails: it is undone",
			kind{},
			[]played{
				{"hang", nodea, 0},
				{"freeze", nodeb, 0},
				{"serve", nodea, 0},
				{"wait", nodea, 2},
				{"list", nodea, 0},
				{"freeze", nodea, 0},
				{"go on", nodea, 0},
				{"raise", nodea, 0},
				{"list", nodea, 0},
			},
		},
		{
			"a freeze that was given up comes late in the midst of a thaw: its backend is thawed",
			kind{},
			[]played{
				{"hang", nodeb, 0},
				{"freeze", nodeb, 0},
				{"serve", nodeb, 0},
				{"wait", nodea, 2},
				{"freeze", nodea, 0},
				{"serve", nodea, 0},
				{"thaw", nodea, 0},
				{"lose", nodea, 0},
				{"go on", nodeb, 0},
				{"list", nodea, 0},
			},
		},
		{
			"a thaw that was given up comes late in the midst of a freeze: its backend is frozen",
			kind{},
			[]played{
				{"freeze", nodea, 0},
				{"serve", nodea, 0},
				{"hang", nodeb, 0},
				{"thaw", nodeb, 0},
				{"serve", nodeb, 0},
				{"wait", nodea, 2},
				{"thaw", nodea, 0},
				{"serve", nodea, 0},
				{"freeze", nodea, 0},
				{"lose", nodea, 0},
				{"go on", nodeb, 0},
				{"list", nodea, 0},
			},
		},
		{
			"a service forgets a failback, is frozen, and then goes back: it has not frozen its backend",
			kind{failovers: true},
			[]played{
				{"failback", alone, 0},
				{"kill", alone, 0},
				{"restart", alone, 0},
				{"freeze", alone, 0},
				{"serve", alone, 0},
				{"wait", alone, 2},
				{"list", alone, 0},
			},
		},
		{
			"the same, and somebody has looked before the freeze",
			kind{failovers: true},
			[]played{
				{"failback", alone, 0},
				{"kill", alone, 0},
				{"restart", alone, 0},
				{"look", alone, 0},
				{"freeze", alone, 0},
				{"serve", alone, 0},
				{"wait", alone, 2},
				{"list", alone, 0},
			},
		},
		{
			"a freeze that is to be undone outlives a way back: the service is enabled",
			kind{failovers: true},
			[]played{
				{"failover", alone, 0},
				{"serve", alone, 0},
				{"freeze", alone, 0},
				{"wait", alone, 2},
				{"look", alone, 0},
				{"look", alone, 0},
				{"wait", alone, 2},
				{"failback", alone, 0},
				{"serve", alone, 0},
				{"list", alone, 0},
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var steps []step
			for _, m := range tt.moves {
				do := slices.Index(moves(), m.move)
				if do < 0 {
					t.Fatalf("there is no move %q", m.move)
				}
				steps = append(steps, step{Do: do, Who: m.who, How: m.how})
			}
			if err := game(t, tt.kind, steps); err != nil {
				t.Error(err)
			}
		})
	}
}
