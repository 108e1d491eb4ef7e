package load

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Report is what clients saw.
type Report struct {
	Wrong      []string                 // what no request may get
	Answers    map[string]map[int]int   // how often a path got a status
	Operations map[string]int           // how often an answer named an operation
	Longest    map[string]time.Duration // the longest that a path took
}

func newReport() Report {
	return Report{Answers: map[string]map[int]int{}, Operations: map[string]int{}, Longest: map[string]time.Duration{}}
}

func (r *Report) note(q Request, a Answer) {
	path, _, _ := strings.Cut(q.Path, "?")
	if r.Answers[path] == nil {
		r.Answers[path] = map[int]int{}
	}
	r.Answers[path][a.Status]++
	r.Longest[path] = max(r.Longest[path], a.Took)
	if a.Operation != "" {
		r.Operations[a.Operation]++
	}
}

// Add takes in what others saw.
func (r *Report) Add(o Report) {
	if r.Answers == nil {
		wrong := r.Wrong
		*r = newReport()
		r.Wrong = wrong
	}
	r.Wrong = append(r.Wrong, o.Wrong...)
	for path, byStatus := range o.Answers {
		if r.Answers[path] == nil {
			r.Answers[path] = map[int]int{}
		}
		for status, n := range byStatus {
			r.Answers[path][status] += n
		}
		r.Longest[path] = max(r.Longest[path], o.Longest[path])
	}
	for id, n := range o.Operations {
		r.Operations[id] += n
	}
}

// String is a line for each path: how often it got which status, and the
// longest that it took.
func (r Report) String() string {
	var b strings.Builder
	for _, path := range slices.Sorted(maps.Keys(r.Answers)) {
		name := path
		if name == "" {
			name = "list"
		}
		fmt.Fprintf(&b, "%-20s", strings.TrimPrefix(name, "/"))
		for _, status := range slices.Sorted(maps.Keys(r.Answers[path])) {
			fmt.Fprintf(&b, " %d: %d,", status, r.Answers[path][status])
		}
		fmt.Fprintf(&b, " longest %v\n", r.Longest[path].Round(time.Millisecond))
	}
	return b.String()
}
