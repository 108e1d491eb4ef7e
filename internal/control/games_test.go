package control_test

import (
	"slices"
	"testing"
)

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
				{"wait", nodeb, 5},
				{"wait", nodeb, 5},
				{"failback", nodea, 0},
				{"serve", nodea, 0},
				{"thaw", nodea, 0},
				{"serve", nodeb, 0},
				{"go on", nodeb, 0},
				{"look", nodea, 0},
			},
		},
		{
			"a way back is still in the queue when its service restarts: what is frozen stays disabled",
			kind{failovers: true},
			[]played{
				{"freeze", nodea, 0},
				{"serve", nodea, 0},
				{"failback", nodea, 0},
				{"kill", nodea, 0},
				{"kill", nodeb, 0},
				{"restart", nodea, 0},
				{"restart", nodeb, 0},
				{"look", nodea, 0},
				{"serve", nodea, 0},
				{"list", nodea, 0},
			},
		},
		{
			"a member that was down starts in the midst of a way back: what is frozen stays disabled",
			kind{failovers: true},
			[]played{
				{"freeze", nodea, 0},
				{"serve", nodea, 0},
				{"kill", nodeb, 0},
				{"wait", nodea, 5},
				{"wait", nodea, 5},
				{"failback", nodea, 0},
				{"restart", nodeb, 0},
				{"serve", nodea, 0},
				{"list", nodea, 0},
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
