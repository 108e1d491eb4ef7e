package store_test

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/store"
)

// The database is large enough that no engine scans a table where an index would do.
// maxVisited bounds the rows that one statement may examine, on engines that count
// them; it exceeds pageScanLimit.
const (
	plannedEntries  = 20_000
	plannedServices = 2_000
	maxVisited      = 2_500
)

// deliberate lists the statements that scan a table or sort, and why.
func deliberate() map[string]string {
	return map[string]string{
		`SELECT "binary", host, cause, reason`:               "AllCauses reads one row for each, outside of changes",
		`SELECT COALESCE(MAX(since), 0) FROM stoker_writers`: "it has a row for each migration at most",
		`SELECT COUNT(*) FROM "`:                             "Check counts, when an operator asks it to",
		`SELECT DISTINCT t.host FROM`:                        "Cinder's tables have no index on host: once in the life of a service, when it joins a cluster",
		`UPDATE volumes SET cluster_name`:                    "the same",
		`UPDATE "groups" SET cluster_name`:                   "the same",
		`SELECT g.id, g.host`:                                "Cinder's tables have no index on host: read outside of changes, after a failover",
		`SELECT v.id, v.host`:                                "the same; page by page",
	}
}

// TestPlans checks that no statement scans or sorts a table that grows, on any engine.
// It calls every method, with every combination of filters, and inspects the plan of
// every statement.
func TestPlans(t *testing.T) {
	for _, e := range engines() {
		t.Run(e.name, func(t *testing.T) {
			url := e.create(t)
			prepare(t, url)
			other := e.raw(t, url)
			fill(t, e, other, plannedEntries, plannedServices)
			execOn(t, other, `UPDATE stoker_requests SET caller = CASE WHEN status = 200 AND id < 'key-5' THEN 'automation' ELSE id END`)
			analyze(t, e, other)
			statements := everyStatement(t, e, url)
			look := func(t *testing.T) {
				t.Helper()
				for _, s := range statements {
					if why := objection(s, explain(t, e, other, s)); why != "" {
						t.Errorf("%s:\n%s\n%v", why, s.Text, s.Args)
					}
				}
			}
			if e.name == "sqlite" { // without ANALYZE, which nobody runs for us, it does not know its tables
				t.Run("without statistics", look)
				execOn(t, other, `ANALYZE`)
			}
			t.Run("with statistics", look)
		})
	}
}

// objection says what is wrong with a plan; "" when nothing is.
func objection(s store.Statement, p plan) string {
	for prefix := range deliberate() {
		if strings.HasPrefix(s.Text, prefix) {
			return ""
		}
	}
	ours := strings.Contains(s.Text, "stoker_")
	stops := strings.Contains(s.Text, " LIMIT ") && !strings.Contains(s.Text, " WHERE ") && !p.sorts
	for _, table := range p.full {
		// These are Cinder's, without indexes on names, and have at most a row per
		// service.
		if table != "services" && table != "clusters" && !stops {
			return "reads all of " + table + ": " + p.text
		}
	}
	switch {
	case ours && p.visited > maxVisited:
		return fmt.Sprintf("looks at %v rows: %s", p.visited, p.text)
	case ours && p.sorts && p.visited == 0: // sorting the few rows that an index selected is fine
		return "sorts: " + p.text
	}
	return ""
}

// everyStatement calls every method of the store and returns the statements it sent:
// each text once or, where the plan depends on the arguments, once per arguments.
func everyStatement(t *testing.T, e engine, url string) []store.Statement {
	t.Helper()
	var sent []store.Statement
	known := map[string]bool{}
	db, err := store.Open(t.Context(), store.Options{URL: url, Watch: func(s store.Statement) {
		key := s.Text
		if e.name != "sqlite" {
			key = fmt.Sprint(s.Text, s.Args)
		}
		if !known[key] && planned(s.Text) {
			known[key] = true
			sent = append(sent, s)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(t, db) })
	calls := callsOfDB(t, db)
	inside := callsOfTx(t)
	for _, of := range []struct {
		what  any
		calls map[string]func()
	}{{db, calls}, {&store.Tx{}, asCalls(inside, nil)}} {
		for m := range reflect.TypeOf(of.what).Methods() {
			if of.calls[m.Name] == nil && !strings.Contains(" Close Sync Update Now HostNow Trouble ", " "+m.Name+" ") {
				t.Errorf("%s is called by no one here: what does it send?", m.Name)
			}
		}
	}
	for _, call := range calls {
		call()
	}
	if err := db.Update(t.Context(), func(tx *store.Tx) error {
		for _, call := range asCalls(inside, tx) {
			call()
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for n := 0; e.name != "sqlite" && !sentOf(sent, "FROM stoker_commits WHERE committed_at"); n++ { // random pruning
		if n == 2000 {
			t.Fatal("old commits are never removed")
		}
		if err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.ForgetRequest(t.Context(), "none") }); err != nil {
			t.Fatal(err)
		}
	}
	return sent
}

// planned reports whether the planner has a choice: not for an INSERT, a statement
// without a table, or a catalog query.
func planned(text string) bool {
	if strings.HasPrefix(text, "UPDATE ") {
		return true
	}
	table, read := strings.CutPrefix(text, "DELETE FROM ")
	if !read {
		_, table, read = strings.Cut(text, "FROM ")
		read = read && strings.HasPrefix(text, "SELECT")
	}
	for _, of := range []string{"information_schema", "sqlite_master", "pragma_", "stoker_migrations"} {
		read = read && !strings.HasPrefix(table, of)
	}
	return read
}

func sentOf(sent []store.Statement, words string) bool {
	for _, s := range sent {
		if strings.Contains(s.Text, words) {
			return true
		}
	}
	return false
}

func asCalls(calls map[string]func(*store.Tx), tx *store.Tx) map[string]func() {
	bound := map[string]func(){}
	for name, call := range calls {
		bound[name] = func() { call(tx) }
	}
	return bound
}

// callsOfDB returns a call of each method, for a filled database.
func callsOfDB(t *testing.T, db *store.DB) map[string]func() {
	t.Helper()
	ctx := t.Context()
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	owner := cinder.Owner{Host: "host7@alpha"}
	clustered := cinder.Service{Host: "host3@alpha", Binary: cinder.BinaryVolume, Topic: cinder.BinaryVolume, Cluster: "cluster0@alpha"}
	return map[string]func(){
		"View": func() {
			for _, q := range serviceQueries() {
				_, err := db.View(ctx, q)
				must("view", err)
			}
		},
		"Clusters": func() {
			_, err := db.Clusters(ctx, cinder.ClusterQuery{Binary: new("cinder-volume")})
			must("clusters", err)
		},
		"Read": func() {
			err := db.Read(ctx, func(tx *store.Tx) error {
				_, err := tx.OpenOperations(ctx)
				return err
			})
			must("read", err)
		},
		"AllCauses": func() { _, err := db.AllCauses(ctx); must("causes", err) },
		"OperationPage": func() {
			for _, q := range operationQueries() {
				_, err := db.OperationPage(ctx, q)
				must("page", err)
			}
		},
		"Operations":   func() { _, err := db.Operations(ctx, cinder.OperationQuery{Limit: 50}); must("operations", err) },
		"Operation":    func() { _, err := db.Operation(ctx, "op-10000007"); must("operation", err) },
		"KeysFull":     func() { _, err := db.KeysFull(ctx, "automation", 1000); must("keys", err) },
		"Register":     func() { _, err := db.Register(ctx, clustered); must("register", err) },
		"RegisterMany": func() { _, err := db.RegisterMany(ctx, []cinder.Service{clustered}); must("register", err) },
		"Beat":         func() { _, err := db.Beat(ctx, 1, 2, 999_999); must("beat", err) },
		"Volumes": func() {
			for _, changed := range []bool{false, true} {
				_, err := db.Volumes(ctx, owner, changed, "v-3", 200)
				must("volumes", err)
			}
		},
		"SaveVolumes": func() {
			was := cinder.Volume{ID: "v-7", Status: "available"}
			now := was
			now.Status, now.Before = "error", &cinder.BeforeFailover{Status: "available"}
			for _, c := range []cinder.VolumeChange{{Was: was, Now: now}, {Was: now, Now: was}} {
				_, err := db.SaveVolumes(ctx, []cinder.VolumeChange{c})
				must("save volumes", err)
			}
		},
		"Groups": func() { _, err := db.Groups(ctx, owner); must("groups", err) },
		"SaveGroups": func() {
			was := cinder.Group{ID: "g-7", Status: "available"}
			now := was
			now.Status, now.Before = "error", &cinder.BeforeFailover{Status: "available"}
			for _, c := range []cinder.GroupChange{{Was: was, Now: now}, {Was: now, Now: was}} {
				_, err := db.SaveGroups(ctx, []cinder.GroupChange{c})
				must("save groups", err)
			}
		},
		"Workers": func() { _, err := db.Workers(ctx, 8, cinder.CleanupRequest{}); must("workers", err) },
		"EndWork": func() {
			w := cinder.Worker{ID: 9, ResourceType: cinder.ResourceVolume, ResourceID: "v-7", Status: "creating", ServiceID: 8}
			_, err := db.EndWork(ctx, w, "")
			must("end work", err)
		},
		"Ready":       func() { must("ready", db.Ready(ctx)) },
		"TakesWrites": func() { must("takes writes", db.TakesWrites(ctx)) },
		"Check":       func() { _, err := db.Check(ctx); must("check", err) },
	}
}

func serviceQueries() []cinder.ServiceQuery {
	return []cinder.ServiceQuery{
		{},
		{Binary: new("cinder-volume")},
		{Host: new("host7")},
		{Host: new("host7@alpha"), Binary: new("cinder-volume")},
		{Cluster: new("cluster1@alpha")},
	}
}

// operationQueries returns all combinations of filters, with many matches and with
// none, with and without times and a marker.
func operationQueries() []cinder.OperationQuery {
	var queries []cinder.OperationQuery
	for i, values := range [][6]string{
		{"big", "cluster0@alpha", "automation", "enable", "done", "cinder-volume"},
		{"big@ceph", "cluster1@alpha", "user-7", "failover", "rolled-back", "cinder-backup"},
		{"none", "none", "none", "none", "none", "none"},
	} {
		for chosen := range 1 << 6 {
			var q cinder.OperationQuery
			for f, field := range []**string{&q.Host, &q.Cluster, &q.UserID, &q.Kind, &q.State, &q.Binary} {
				if chosen&(1<<f) != 0 {
					*field = &values[f]
				}
			}
			q.Limit = 50
			queries = append(queries, q)
			if i > 0 {
				continue
			}
			q.Marker = "op-10015000"
			queries = append(queries, q)
			q.Since, q.Before = filledAt().Add(time.Hour), filledAt().Add(4*time.Hour)
			queries = append(queries, q)
			q.Marker = ""
			queries = append(queries, q)
		}
	}
	return queries
}

// callsOfTx returns a call of each method of a transaction, for a filled database.
func callsOfTx(t *testing.T) map[string]func(*store.Tx) {
	t.Helper()
	ctx := context.Background()
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	return map[string]func(*store.Tx){
		"Services": func(tx *store.Tx) {
			for _, q := range serviceQueries() {
				_, err := tx.Services(ctx, q)
				must("services", err)
			}
		},
		"Cluster": func(tx *store.Tx) { _, err := tx.Cluster(ctx, "cluster1@alpha", "cinder-volume"); must("cluster", err) },
		"SaveService": func(tx *store.Tx) {
			was := cinder.Service{ID: 12}
			now := was
			now.Disabled, now.DisabledReason = true, new("why")
			must("save service", tx.SaveService(ctx, was, now))
		},
		"SaveCluster": func(tx *store.Tx) {
			was := cinder.Cluster{ID: 3}
			now := was
			now.Disabled = true
			must("save cluster", tx.SaveCluster(ctx, was, now))
		},
		"Causes":     func(tx *store.Tx) { _, err := tx.Causes(ctx, "cinder-volume", "host7@alpha"); must("causes", err) },
		"SaveCauses": func(tx *store.Tx) { must("save causes", tx.SaveCauses(ctx, "cinder-volume", "host8@alpha", nil)) },
		"AddOperation": func(tx *store.Tx) {
			must("add", tx.AddOperation(ctx, cinder.Operation{ID: "new", State: cinder.OpDone, StartedAt: filledAt()}))
		},
		"OpenOperations": func(tx *store.Tx) { _, err := tx.OpenOperations(ctx); must("open operations", err) },
		"SaveOperation": func(tx *store.Tx) {
			was := cinder.Operation{ID: "op-10000017", State: cinder.OpOpen, Owner: "api1:1"}
			must("save operation", tx.SaveOperation(ctx, was, was))
		},
		"Prune": func(tx *store.Tx) {
			_, err := tx.Prune(ctx, filledAt().Add(time.Hour), 200)
			must("prune", err)
		},
		"Request": func(tx *store.Tx) { _, err := tx.Request(ctx, "key-19000"); must("request", err) },
		"KeepRequest": func(tx *store.Tx) {
			must("keep", tx.KeepRequest(ctx, cinder.KeptRequest{ID: "key-19001", ExpiresAt: filledAt()}))
		},
		"ForgetRequest": func(tx *store.Tx) { must("forget", tx.ForgetRequest(ctx, "key-19002")) },
		"PruneRequests": func(tx *store.Tx) {
			_, err := tx.PruneRequests(ctx, filledAt().Add(time.Hour), 200)
			must("prune requests", err)
		},
		"OperationOf": func(tx *store.Tx) { _, err := tx.OperationOf(ctx, "req-77"); must("operation of", err) },
	}
}
