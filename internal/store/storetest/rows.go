package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/store"
)

func rows(t *testing.T, create func(testing.TB) Database) {
	t.Helper()
	t.Run("an empty database", func(t *testing.T) {
		db := create(t).Open(t)
		if got := view(t, db, cinder.ServiceQuery{}); len(got) != 0 {
			t.Errorf("services %v, want none", got)
		}
		v, err := db.Clusters(t.Context(), cinder.ClusterQuery{})
		if err != nil || len(v.Clusters) != 0 || len(v.Members) != 0 {
			t.Errorf("%+v, error %v, want none", v, err)
		}
	})
	t.Run("every column, as others write it", func(t *testing.T) { everyColumn(t, create) })
	t.Run("every column may be null", func(t *testing.T) {
		d := create(t)
		db := d.Open(t)
		d.Exec(t, `INSERT INTO services (id, report_count) VALUES (7, 3)`)
		wantSame(t, "service", view(t, db, cinder.ServiceQuery{}), []cinder.Service{{ID: 7, ReportCount: 3}})
		wantSame(t, "service without a host", view(t, db, cinder.ServiceQuery{Host: new("")}), []cinder.Service{{ID: 7, ReportCount: 3}})
		update(t, db, func(tx *store.Tx) error {
			was := cinder.Service{ID: 7}
			now := was
			now.Disabled, now.Frozen, now.Cluster, now.ReplicationStatus = true, true, "c@b", cinder.ReplicationEnabled
			return tx.SaveService(t.Context(), was, now)
		})
		got := row(t, db, 7)
		if !got.Disabled || !got.Frozen || got.Cluster != "c@b" || got.ReplicationStatus != cinder.ReplicationEnabled {
			t.Errorf("row %+v, want what was saved over NULL", got)
		}
	})
	t.Run("times with, without and with any fraction", func(t *testing.T) { times(t, create) })
	t.Run("the deleted are gone", func(t *testing.T) {
		d := create(t)
		db := d.Open(t)
		id := register(t, db, clustered("h1@b", "c@b")).ID
		register(t, db, volume("h2@b"))
		view(t, db, cinder.ServiceQuery{})
		d.Exec(t, `UPDATE services SET deleted = TRUE, deleted_at = '2026-11-23 08:00:00' WHERE id = ?`, id)
		d.Exec(t, `UPDATE clusters SET deleted = TRUE, race_preventer = id`)
		wantSame(t, "hosts", hosts(view(t, db, cinder.ServiceQuery{})), []string{"h2@b"})
		if got := view(t, db, cinder.ServiceQuery{Host: new("h1")}); len(got) != 0 {
			t.Errorf("services of the deleted host: %v", got)
		}
		v, err := db.Clusters(t.Context(), cinder.ClusterQuery{})
		if err != nil || len(v.Clusters) != 0 || len(v.Members) != 0 {
			t.Errorf("%+v, error %v, want none", v, err)
		}
	})
	t.Run("names match exactly, and hosts with their backends", func(t *testing.T) { matchNames(t, create) })
	t.Run("clusters by name and binary, and all members", func(t *testing.T) { clusterRows(t, create) })
}

func everyColumn(t *testing.T, create func(testing.TB) Database) {
	t.Helper()
	d := create(t)
	db := d.Open(t)
	d.Exec(t, insertService, 5, "u-5", "h@b", "cinder-volume", "cinder-volume", "zone", "c@b", true, "why; 'é'", true, "failed-over", "site-b",
		42, "3.18", "1.39", "2026-11-23 08:00:00", "2026-11-23 09:00:00", "2026-11-23 10:00:00", false)
	d.Exec(t, insertService, 6, "u-6", "h2", "cinder-backup", "cinder-backup", "zone", nil, false, "", false, nil, "",
		0, "2.3", "1.39", "2026-11-23 08:00:00.000000", nil, nil, false)
	want := []cinder.Service{{
		ID: 5, UUID: "u-5", Host: "h@b", Binary: "cinder-volume", Topic: "cinder-volume", Zone: "zone", Cluster: "c@b",
		Disabled: true, DisabledReason: new("why; 'é'"), Frozen: true,
		ReplicationStatus: cinder.ReplicationFailedOver, ActiveBackendID: new("site-b"),
		ReportCount: 42, RPCVersion: "3.18", ObjectVersion: "1.39", CreatedAt: at(8, 0), UpdatedAt: at(9, 0), ModifiedAt: at(10, 0),
	}, {
		ID: 6, UUID: "u-6", Host: "h2", Binary: "cinder-backup", Topic: "cinder-backup", Zone: "zone",
		DisabledReason: new(""), ActiveBackendID: new(""), RPCVersion: "2.3", ObjectVersion: "1.39", CreatedAt: at(8, 0),
	}}
	wantSame(t, "the list", view(t, db, cinder.ServiceQuery{}), want)
	wantSame(t, "by host", view(t, db, cinder.ServiceQuery{Host: new("h")}), want[:1])
	update(t, db, func(tx *store.Tx) error {
		got, err := tx.Services(t.Context(), cinder.ServiceQuery{})
		wantSame(t, "inside a transaction", got, want)
		return err
	})
}

func times(t *testing.T, create func(testing.TB) Database) {
	t.Helper()
	d := create(t)
	db := d.Open(t)
	for i, test := range []struct {
		stored any
		want   time.Time
	}{
		{"2026-11-23 08:00:00", at(8, 0)},
		{"2026-11-23 08:00:00.000000", at(8, 0)},
		{"2026-11-23 08:00:00.250000", at(8, 0).Add(250 * time.Millisecond)},
		{nil, time.Time{}},
	} {
		id := int64(i + 1)
		if d.WholeSeconds {
			test.want = test.want.Truncate(time.Second)
		}
		d.Exec(t, `INSERT INTO services (id, report_count, host, updated_at) VALUES (?, 0, ?, ?)`, id, fmt.Sprint("h", id), test.stored)
		if got := row(t, db, id).UpdatedAt; !got.Equal(test.want) || got.Location() != time.UTC {
			t.Errorf("%v reads as %v, want %v", test.stored, got, test.want)
		}
	}
}

// matchNames queries each of a list of similar names, and wants the result of
// cinder.ServiceQuery.
func matchNames(t *testing.T, create func(testing.TB) Database) {
	t.Helper()
	d := create(t)
	db := d.Open(t)
	names := []string{
		"host1", "host1@lvm", "host1@lvm2", "host10", "host10@lvm", "HOST1", "Host1@lvm", "host_", "hostX", "host%", "host%@a", "hostXY@a",
		"@", "@lvm", "host1@", "ho'st", `ho\st`, "höst", "höst@lvm", "host1 ", "host1#pool", "", "host1@lvm@x",
	}
	binaries := []string{"cinder-volume", "cinder-backup", "Cinder-Volume"}
	id := 0
	for i, name := range names {
		for j, binary := range binaries {
			id++
			cluster := any(names[(i+j)%len(names)])
			if cluster == "" {
				cluster = nil
			}
			d.Exec(t, `INSERT INTO services (id, report_count, host, "binary", cluster_name) VALUES (?, 0, ?, ?, ?)`, id, name, binary, cluster)
		}
	}
	all := slices.Clone(view(t, db, cinder.ServiceQuery{}))
	if len(all) != id {
		t.Fatalf("%d services, want %d", len(all), id)
	}
	var queries []cinder.ServiceQuery
	for i, name := range names {
		binary := binaries[i%len(binaries)]
		queries = append(queries, cinder.ServiceQuery{Host: &name}, cinder.ServiceQuery{Cluster: &name},
			cinder.ServiceQuery{Host: &name, Binary: &binary}, cinder.ServiceQuery{Host: &name, Cluster: &names[(i+1)%len(names)]},
			cinder.ServiceQuery{Binary: &name})
	}
	for _, binary := range binaries {
		queries = append(queries, cinder.ServiceQuery{Binary: &binary})
	}
	for _, q := range queries {
		var want []cinder.Service
		for _, s := range all {
			if q.Matches(&s) {
				want = append(want, s)
			}
		}
		got := view(t, db, q)
		if len(got) == 0 && len(want) == 0 {
			continue
		}
		wantSame(t, describe(q), got, want)
	}
}

func describe(q cinder.ServiceQuery) string {
	text := []string{"services with"}
	for _, f := range []struct {
		name  string
		value *string
	}{{"host", q.Host}, {"binary", q.Binary}, {"cluster", q.Cluster}} {
		if f.value != nil {
			text = append(text, f.name+"="+*f.value)
		}
	}
	return strings.Join(text, " ")
}

func clusterRows(t *testing.T, create func(testing.TB) Database) {
	t.Helper()
	d := create(t)
	db := d.Open(t)
	register(t, db, clustered("h1@b", "c1@b"))
	register(t, db, clustered("h2@b", "c1@b"))
	register(t, db, volume("h3@b"))
	d.Exec(t, `INSERT INTO clusters (id, name, "binary", race_preventer, frozen, disabled, disabled_reason, replication_status, active_backend_id,
		created_at, updated_at) VALUES (9, 'c2@b', 'cinder-volume', 0, TRUE, TRUE, 'why', 'failed-over', 'site-b', '2026-11-23 08:00:00', '2026-11-23 09:00:00')`)
	d.Exec(t, `INSERT INTO clusters (id, name, "binary", race_preventer, frozen) VALUES (10, 'c2@b', 'cinder-backup', 0, FALSE)`)
	for _, test := range []struct {
		name  string
		query cinder.ClusterQuery
		want  []string
	}{
		{"all", cinder.ClusterQuery{}, []string{"c1@b cinder-volume", "c2@b cinder-volume", "c2@b cinder-backup"}},
		{"by name", cinder.ClusterQuery{Name: new("c2@b")}, []string{"c2@b cinder-volume", "c2@b cinder-backup"}},
		{"by name and binary", cinder.ClusterQuery{Name: new("c2@b"), Binary: new("cinder-backup")}, []string{"c2@b cinder-backup"}},
		{"in other letters", cinder.ClusterQuery{Name: new("C2@b")}, nil},
		{"what is computed does not restrict here", cinder.ClusterQuery{Name: new("c1@b"), Up: new(true), Hosts: new(9)}, []string{"c1@b cinder-volume"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			v, err := db.Clusters(t.Context(), test.query)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, c := range v.Clusters {
				names = append(names, c.Name+" "+c.Binary)
			}
			wantSame(t, "v.Clusters", names, test.want)
			wantSame(t, "v.Members", hosts(v.Members), []string{"h1@b", "h2@b"})
		})
	}
	update(t, db, func(tx *store.Tx) error {
		got, err := tx.Cluster(t.Context(), "c2@b", "cinder-volume")
		wantSame(t, "every column", got, cinder.Cluster{
			ID: 9, Name: "c2@b", Binary: "cinder-volume", Disabled: true, DisabledReason: new("why"), Frozen: true,
			ReplicationStatus: cinder.ReplicationFailedOver, ActiveBackendID: new("site-b"), CreatedAt: at(8, 0), UpdatedAt: at(9, 0),
		})
		return err
	})
	wantKind(t, db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Cluster(t.Context(), "c3@b", "cinder-volume")
		return err
	}), cinder.KindNotFound)
}
