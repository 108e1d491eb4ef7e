// Package metrics is what Prometheus is told of a process: how its requests,
// journal, policy, database and bus do, and whether the services of the cloud are
// up. What is counted as it happens is kept here; all else is asked for when
// somebody scrapes, for at most Bound.
package metrics
