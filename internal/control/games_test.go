package control_test

import (
	"slices"
	"testing"
)

// Games that were lost once, as they are played now.
func TestGamesThatWereLost(t *testing.T) {
	const nodea, other = 1, 3 // who: a member of the cluster; by the second API process
	for _, tt := range []struct {
		name  string
		kind  kind
		moves []string
		who   []int
	}{
		{
			"a thaw is never sent, and a failover is carried out meanwhile: the backend is frozen still",
			kind{failovers: true},
			[]string{"freeze", "serve", "api dies soon", "thaw", "failover", "serve", "list"},
			[]int{nodea, nodea, nodea, nodea, nodea + other, nodea, nodea},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var steps []step
			for i, move := range tt.moves {
				do := slices.Index(moves(), move)
				if do < 0 {
					t.Fatalf("there is no move %q", move)
				}
				steps = append(steps, step{Do: do, Who: tt.who[i]})
			}
			if err := game(t, tt.kind, steps); err != nil {
				t.Error(err)
			}
		})
	}
}
