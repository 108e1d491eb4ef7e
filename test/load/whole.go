package load

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Patience bounds waits for what happens at once, or soon, on a machine that has
// nothing else to do. The bound costs time only where it does not happen at all.
const Patience = 3 * time.Minute

// Within waits until something is so, and fails the test when that takes too long.
func Within(tb testing.TB, limit time.Duration, what string, so func() bool) {
	tb.Helper()
	end := time.NewTimer(limit)
	defer end.Stop()
	for !so() {
		select {
		case <-end.C:
			tb.Fatalf("in %v it did not come to pass that %s", limit, what)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// soon is when recovery has put right what others have made of a row.
const soon = time.Minute

// Whole waits until every operation is settled, and checks that then, or soon
// after, no row is half changed.
func Whole(tb testing.TB, db *sql.DB) {
	tb.Helper()
	Within(tb, Patience, "every operation is settled", func() bool {
		return Count(tb, db, "SELECT COUNT(*) FROM stoker_operations WHERE state = 'open'") == 0
	})
	half := halfChanged(tb, db)
	for end := time.Now().Add(soon); len(half) > 0 && time.Now().Before(end); half = halfChanged(tb, db) {
		<-time.After(100 * time.Millisecond)
	}
	for _, row := range half {
		tb.Error(row)
	}
}

// halfChanged says which rows say what cannot be.
func halfChanged(tb testing.TB, db *sql.DB) (found []string) {
	tb.Helper()
	for what, condition := range map[string]string{
		"frozen and not disabled":            "frozen AND NOT disabled",
		"disabled as frozen and not frozen":  "disabled AND disabled_reason = 'frozen' AND NOT frozen",
		"failing over for ever":              "replication_status = 'failing-over'",
		"disabled as failed over and is not": "disabled AND disabled_reason = 'failed-over' AND replication_status <> 'failed-over'",
		"failed over to nowhere":             "replication_status = 'failed-over' AND COALESCE(active_backend_id, '') = ''",
	} {
		for _, row := range services(tb, db, condition) {
			found = append(found, row+" is "+what)
		}
	}
	return found
}

// services are the rows that a condition holds for, in words.
func services(tb testing.TB, db *sql.DB, condition string) (found []string) {
	tb.Helper()
	rows, err := db.QueryContext(tb.Context(), "SELECT host, replication_status, COALESCE(active_backend_id, '') FROM services WHERE NOT deleted AND "+condition)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var host, status, active string
		if err := rows.Scan(&host, &status, &active); err != nil {
			tb.Fatal(err)
		}
		found = append(found, fmt.Sprintf("%s (%s on %q)", host, status, active))
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	return found
}

// Count does a query for a number.
func Count(tb testing.TB, db *sql.DB, query string) int {
	tb.Helper()
	var n int
	if err := db.QueryRowContext(tb.Context(), query).Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}

// Metrics returns the metrics that an API serves at an address, those with
// labels apart: see peers.Cinder.Metrics.
func Metrics(ctx context.Context, addr string) (map[string]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, Deadline)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", http.NoBody)
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("metrics: %s", res.Status)
	}
	found := map[string]float64{}
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if n, err := strconv.ParseFloat(value, 64); err == nil && !strings.HasPrefix(name, "#") {
			found[name] = n
		}
	}
	return found, lines.Err()
}

// Goroutines returns how many an API has, by its metrics.
func Goroutines(tb testing.TB, addr string) int {
	tb.Helper()
	found, err := Metrics(tb.Context(), addr)
	if err != nil {
		tb.Fatal(err)
	}
	return int(found["go_goroutines"])
}
