package history

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// totals are the statistics of a history.
type totals struct {
	answers map[string]map[string]int // by request and outcome
	slowest time.Duration
	again   int // requests whose key was sent before
	faults  map[string]int
	mended  int           // services restarted to end a failover
	checked int           // histories of a place in a round that were ordered
	events  int           // in those
	longest time.Duration // longest search for an order
	spoiled []string      // histories that were not ordered, and why
	looked  int           // operations compared with the backends
	missing int           // of those, done by services that were killed before they reported them
}

func newTotals() totals {
	return totals{answers: map[string]map[string]int{}, faults: map[string]int{}}
}

// note counts an answer.
func (c *totals) note(s *sent) {
	if c.answers[s.what] == nil {
		c.answers[s.what] = map[string]int{}
	}
	c.answers[s.what][s.came()]++
	if s.again {
		c.again++
	}
	c.slowest = max(c.slowest, s.answer.Took)
}

// came is a request's outcome in a word.
func (s *sent) came() string {
	switch st := s.answer.Status; {
	case s.err != nil:
		return "unknown: no answer"
	case s.answer.Replayed:
		return "answered again"
	case s.keyTaken():
		return "key in use"
	case st < http.StatusMultipleChoices:
		return "acknowledged"
	case st == http.StatusGatewayTimeout:
		return "unknown: 504"
	default:
		return fmt.Sprintf("refused: %d", st)
	}
}

// kills is how often a volume service was killed, by a fault or to end a failover.
func (c *totals) kills() int {
	n := c.mended
	for name, times := range c.faults {
		if strings.HasPrefix(name, "the volume service") && strings.HasSuffix(name, "killed") {
			n += times
		}
	}
	return n
}

// enough checks that everything was tried, and most of it compared.
func (c *totals) enough(t *testing.T) {
	t.Helper()
	again := 0
	for _, what := range []string{"freeze", "thaw", "disable", "enable", "failover", "set-log"} {
		if c.answers[what]["acknowledged"] == 0 {
			t.Errorf("no %s was acknowledged: nothing was tried", what)
		}
		again += c.answers[what]["answered again"]
	}
	if again == 0 {
		t.Error("no request was answered again")
	}
	if n := len(c.spoiled); n > 1 && n > c.checked/4 {
		t.Errorf("%d histories were put in order, and %d could not be", c.checked, n)
	}
}

func (c *totals) String() string {
	var b strings.Builder
	sum := map[string]int{}
	for _, what := range slices.Sorted(maps.Keys(c.answers)) {
		fmt.Fprintf(&b, "%-16s", what)
		for _, came := range slices.Sorted(maps.Keys(c.answers[what])) {
			fmt.Fprintf(&b, " %s %d,", came, c.answers[what][came])
			if what != "list" {
				sum[came] += c.answers[what][came]
			}
		}
		fmt.Fprintln(&b)
	}
	fmt.Fprintf(&b, "all changes: %v; requests with a key that was sent before: %d; longest answer %v\n", sum, c.again, c.slowest.Round(time.Millisecond))
	n := 0
	for _, name := range slices.Sorted(maps.Keys(c.faults)) {
		fmt.Fprintf(&b, "%d times %s\n", c.faults[name], name)
		n += c.faults[name]
	}
	fmt.Fprintf(&b, "%d faults, %d times services were restarted to end a failover\n", n, c.mended)
	fmt.Fprintf(&b, "%d histories with %d events put in order, the longest in %v; %d that were not:\n", c.checked, c.events, c.longest.Round(time.Millisecond), len(c.spoiled))
	for _, s := range c.spoiled {
		fmt.Fprintln(&b, "  "+s)
	}
	fmt.Fprintf(&b, "%d operations asked of the backends, %d of which a killed service did not tell of\n", c.looked, c.missing)
	return b.String()
}
