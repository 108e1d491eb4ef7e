package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
)

// Rows of volumes, snapshots and groups as other programs write them.
const (
	insertVolume = `INSERT INTO volumes (id, host, cluster_name, _name_id, group_id, status, previous_status, replication_status,
		replication_driver_data, volume_type_id, deleted) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'type', ?)`
	insertSnapshot = `INSERT INTO snapshots (id, volume_id, status, volume_type_id, deleted) VALUES (?, ?, ?, 'type', ?)`
	insertGroup    = `INSERT INTO "groups" (id, host, cluster_name, status, replication_status, deleted) VALUES (?, ?, ?, ?, ?, ?)`
	insertWorker   = `INSERT INTO workers (id, resource_type, resource_id, status, service_id, race_preventer, updated_at, deleted)
		VALUES (?, ?, ?, ?, ?, ?, ?, FALSE)`
)

func failovers(t *testing.T, create func(testing.TB) Database) {
	t.Helper()
	t.Run("whose volumes", func(t *testing.T) { whoseVolumes(t, create(t)) })
	t.Run("volumes page by page", func(t *testing.T) { volumePages(t, create(t)) })
	t.Run("volumes there and back", func(t *testing.T) { volumesThereAndBack(t, create(t)) })
	t.Run("volumes that somebody else changed", func(t *testing.T) { volumesChanged(t, create(t)) })
	t.Run("groups", func(t *testing.T) { groupsThereAndBack(t, create(t)) })
	t.Run("volumes of a host that joins a cluster", func(t *testing.T) { joining(t, create(t)) })
	t.Run("work", func(t *testing.T) { work(t, create(t)) })
}

func host1() cinder.Owner { return cinder.Owner{Host: "host1@alpha"} }

// wantColumn compares a column of a table, by id.
func wantColumn(t *testing.T, d Database, table, column string, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, d.Texts(t, "SELECT id, "+column+" FROM "+table)); diff != "" {
		t.Errorf("%s of %s (-want +got):\n%s", column, table, diff)
	}
}

func whoseVolumes(t *testing.T, d Database) {
	t.Helper()
	d.Exec(t, insertGroup, "g1", "host1@alpha", nil, "available", nil, false)
	for id, row := range map[string][]any{
		"v1": {"host1@alpha", nil, nil, nil, "available", nil, nil, nil, false},
		"v2": {"host1@alpha#pool", nil, "v9", "g1", "in-use", "available", "enabled", "data", nil},
		"v3": {"host1@alphabet#pool", nil, nil, nil, "available", nil, nil, nil, false},
		"v4": {"host1@beta#alpha", nil, nil, nil, "available", nil, nil, nil, false},
		"v5": {"host1@alpha#pool", nil, nil, nil, "available", nil, nil, nil, true},
		"v6": {"nodea@alpha#pool", "mycl@alpha#pool", nil, nil, "available", nil, nil, nil, false},
		"v7": {"nodeb@alpha#pool", "mycl@alpha", nil, nil, "available", nil, nil, nil, false},
		"v8": {nil, nil, nil, nil, "creating", nil, nil, nil, false},
	} {
		d.Exec(t, insertVolume, append([]any{id}, row...)...)
	}
	db := d.Open(t)
	for _, tt := range []struct {
		owner cinder.Owner
		want  []cinder.Volume
	}{
		{host1(), []cinder.Volume{
			{ID: "v1", Name: "volume-v1", Status: "available"},
			{
				ID: "v2", Name: "volume-v9", Group: "g1", Status: "in-use", PreviousStatus: new("available"),
				ReplicationStatus: "enabled", DriverData: new("data"),
			},
		}},
		{cinder.Owner{Host: "nodea@alpha", Cluster: "mycl@alpha"}, []cinder.Volume{
			{ID: "v6", Name: "volume-v6", Status: "available"}, {ID: "v7", Name: "volume-v7", Status: "available"},
		}},
		{cinder.Owner{Host: "host1"}, nil},
	} {
		got, err := db.Volumes(t.Context(), tt.owner, false, "", 10)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("volumes of %+v (-want +got):\n%s", tt.owner, diff)
		}
	}
}

func volumePages(t *testing.T, d Database) {
	t.Helper()
	for i := range 25 {
		host := "host1@alpha#pool"
		if i%5 != 0 { // other owners' volumes are in between, sometimes a whole page of them
			host = "host1@alphabet"
		}
		d.Exec(t, insertVolume, fmt.Sprintf("v%02d", i), host, nil, nil, nil, "available", nil, nil, nil, false)
	}
	db := d.Open(t)
	var ids []string
	after := ""
	for {
		page, err := db.Volumes(t.Context(), host1(), false, after, 3)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, v := range page {
			ids = append(ids, v.ID)
		}
		after = page[len(page)-1].ID
	}
	if diff := cmp.Diff([]string{"v00", "v05", "v10", "v15", "v20"}, ids); diff != "" {
		t.Errorf("volumes (-want +got):\n%s", diff)
	}
}

func volumesThereAndBack(t *testing.T, d Database) {
	t.Helper()
	d.Exec(t, insertVolume, "v1", "host1@alpha#pool", nil, nil, nil, "in-use", "available", "disabled", nil, false)
	d.Exec(t, insertVolume, "v2", "host1@alpha#pool", nil, nil, nil, "available", nil, "enabled", "a", false)
	for id, row := range map[string][]any{
		"s1": {"v1", "available", false}, "s2": {"v1", "error", false}, "s3": {"v1", "creating", false},
		"s4": {"v1", "available", true}, "s5": {"v2", "available", false},
	} {
		d.Exec(t, insertSnapshot, append([]any{id}, row...)...)
	}
	db := d.Open(t)
	v1 := cinder.Volume{ID: "v1", Name: "volume-v1", Status: "in-use", PreviousStatus: new("available"), ReplicationStatus: "disabled"}
	v2 := cinder.Volume{ID: "v2", Name: "volume-v2", Status: "available", ReplicationStatus: "enabled", DriverData: new("a")}
	away1, away2 := v1, v2
	away1.Status, away1.PreviousStatus, away1.ReplicationStatus = "error", new("in-use"), "not-capable"
	away1.Before = &cinder.BeforeFailover{Status: "in-use", PreviousStatus: new("available"), ReplicationStatus: "disabled"}
	away2.ReplicationStatus, away2.DriverData = "failed-over", new("b")
	away2.Before = &cinder.BeforeFailover{Status: "available", ReplicationStatus: "enabled"}
	for _, step := range []struct {
		name      string
		was, now  []cinder.Volume
		snapshots map[string]string
		changed   int
	}{
		{"away", []cinder.Volume{v1, v2}, []cinder.Volume{away1, away2}, map[string]string{
			"s1": "error", "s2": "error", "s3": "error", "s4": "available", "s5": "available",
		}, 2},
		{"back", []cinder.Volume{away1, away2}, []cinder.Volume{v1, v2}, map[string]string{
			"s1": "available", "s2": "error", "s3": "error", "s4": "available", "s5": "available",
		}, 0},
	} {
		var changes []cinder.VolumeChange
		for i := range step.was {
			changes = append(changes, cinder.VolumeChange{Was: step.was[i], Now: step.now[i]})
		}
		missed, err := db.SaveVolumes(t.Context(), changes)
		if err != nil || len(missed) > 0 {
			t.Fatalf("%s: missed %q, %v", step.name, missed, err)
		}
		for _, changed := range []bool{false, true} {
			want := step.now
			if changed {
				want = want[:step.changed]
			}
			got, err := db.Volumes(t.Context(), host1(), changed, "", 10)
			if err != nil {
				t.Fatal(err)
			}
			if len(got)+len(want) > 0 && !cmp.Equal(want, got) {
				t.Errorf("%s, changed ones alone %t: volumes (-want +got):\n%s", step.name, changed, cmp.Diff(want, got))
			}
		}
		wantColumn(t, d, "snapshots", "status", step.snapshots)
	}
}

func volumesChanged(t *testing.T, d Database) {
	t.Helper()
	for _, id := range []string{"v1", "v2", "v3"} {
		d.Exec(t, insertVolume, id, "host1@alpha", nil, nil, nil, "available", nil, nil, nil, false)
		d.Exec(t, insertSnapshot, "s"+id, id, "available", false)
	}
	db := d.Open(t)
	volumes, err := db.Volumes(t.Context(), host1(), false, "", 10)
	if err != nil {
		t.Fatal(err)
	}
	d.Exec(t, `UPDATE volumes SET status = 'in-use' WHERE id = 'v1'`)
	d.Exec(t, `UPDATE volumes SET deleted = TRUE WHERE id = 'v3'`)
	var changes []cinder.VolumeChange
	for _, v := range volumes {
		now := v
		now.Status, now.Before = "error", &cinder.BeforeFailover{Status: v.Status}
		changes = append(changes, cinder.VolumeChange{Was: v, Now: now})
	}
	missed, err := db.SaveVolumes(t.Context(), changes)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"v1", "v3"}, missed); diff != "" {
		t.Errorf("missed (-want +got):\n%s", diff)
	}
	wantColumn(t, d, "volumes", "status", map[string]string{"v1": "in-use", "v2": "error", "v3": "available"})
	wantColumn(t, d, "snapshots", "status", map[string]string{"sv1": "available", "sv2": "error", "sv3": "available"})
	wantColumn(t, d, "stoker_failed_over", "status", map[string]string{"v2": "available", "sv2": "available"})
}

func groupsThereAndBack(t *testing.T, d Database) {
	t.Helper()
	d.Exec(t, insertGroup, "g1", "host1@alpha#pool", nil, "available", "enabled", false)
	d.Exec(t, insertGroup, "g2", "host1@alpha#pool", nil, "available", "enabled", nil)
	d.Exec(t, insertGroup, "g3", "host1@alpha#pool", nil, "available", "enabled", true)
	d.Exec(t, insertGroup, "g4", "host1@beta#pool", nil, "available", nil, false)
	db := d.Open(t)
	g1 := cinder.Group{ID: "g1", Status: "available", ReplicationStatus: "enabled"}
	g2 := g1
	g2.ID = "g2"
	away := g1
	away.Status, away.ReplicationStatus = "error", "failover-error"
	away.Before = &cinder.BeforeFailover{Status: "available", ReplicationStatus: "enabled"}
	wantGroups := func(want ...cinder.Group) {
		t.Helper()
		got, err := db.Groups(t.Context(), host1())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("groups (-want +got):\n%s", diff)
		}
	}
	wantGroups(g1, g2)
	d.Exec(t, `UPDATE "groups" SET status = 'deleting' WHERE id = 'g2'`)
	gone := g2
	gone.Status = "error"
	missed, err := db.SaveGroups(t.Context(), []cinder.GroupChange{{Was: g1, Now: away}, {Was: g2, Now: gone}})
	if err != nil || len(missed) != 1 || missed[0] != "g2" {
		t.Fatalf("missed %q, %v, want g2", missed, err)
	}
	g2.Status = "deleting"
	wantGroups(away, g2)
	if missed, err := db.SaveGroups(t.Context(), []cinder.GroupChange{{Was: away, Now: g1}}); err != nil || len(missed) != 0 {
		t.Fatalf("missed %q, %v", missed, err)
	}
	wantGroups(g1, g2)
}

func work(t *testing.T, d Database) {
	t.Helper()
	db := d.Open(t)
	mine, other := register(t, db, volume("host1@alpha")).ID, register(t, db, volume("host2@alpha")).ID
	for _, id := range []string{"v1", "v2", "v3", "v4"} {
		d.Exec(t, insertVolume, id, "host1@alpha", nil, nil, nil, "uploading", nil, nil, nil, false)
		d.Exec(t, insertWorker, 10+int(id[1]-'0'), "Volume", id, "uploading", map[bool]int64{true: mine, false: other}[id != "v4"], 0, "2026-11-23 10:00:00")
	}
	d.Exec(t, `UPDATE volumes SET attach_status = 'attached' WHERE id = 'v2'`)
	d.Exec(t, `UPDATE workers SET updated_at = '2026-11-23 11:00:00' WHERE id = 13`)
	for name, tt := range map[string]struct {
		r    cinder.CleanupRequest
		want int
	}{
		"all":            {cinder.CleanupRequest{}, 3},
		"until then":     {cinder.CleanupRequest{Until: at(10, 30)}, 2},
		"one":            {cinder.CleanupRequest{ResourceType: "Volume", ResourceID: "v1"}, 1},
		"snapshots":      {cinder.CleanupRequest{ResourceType: "Snapshot"}, 0},
		"before it all":  {cinder.CleanupRequest{Until: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}, 0},
		"the other's id": {cinder.CleanupRequest{ResourceID: "v4"}, 0},
	} {
		if got, err := db.Workers(t.Context(), mine, tt.r); err != nil || len(got) != tt.want {
			t.Errorf("%s: %+v, %v, want %d", name, got, err, tt.want)
		}
	}
	workers, err := db.Workers(t.Context(), mine, cinder.CleanupRequest{})
	if err != nil {
		t.Fatal(err)
	}
	want := cinder.Worker{ID: 11, ResourceType: "Volume", ResourceID: "v1", Status: "uploading", ServiceID: mine}
	if diff := cmp.Diff(want, workers[0]); diff != "" {
		t.Errorf("the first (-want +got):\n%s", diff)
	}
	d.Exec(t, `UPDATE workers SET race_preventer = 1 WHERE id = 13`)
	d.Exec(t, `UPDATE volumes SET status = 'deleting' WHERE id = 'v1'`)
	for i, ended := range []bool{true, true, false} {
		if ok, err := db.EndWork(t.Context(), workers[i], ""); err != nil || ok != ended {
			t.Errorf("ending the work on %s: %t, %v", workers[i].ResourceID, ok, err)
		}
	}
	wantColumn(t, d, "volumes", "status", map[string]string{"v1": "deleting", "v2": "in-use", "v3": "uploading", "v4": "uploading"})
	left, err := db.Workers(t.Context(), mine, cinder.CleanupRequest{})
	if err != nil || len(left) != 1 || left[0].ResourceID != "v3" {
		t.Fatalf("work is left: %+v, %v", left, err)
	}
	if ok, err := db.EndWork(t.Context(), left[0], "error"); err != nil || !ok {
		t.Errorf("ending the work that changed hands: %t, %v", ok, err)
	}
	wantColumn(t, d, "volumes", "status", map[string]string{"v1": "deleting", "v2": "in-use", "v3": "error", "v4": "uploading"})
}

func joining(t *testing.T, d Database) {
	t.Helper()
	for id, host := range map[string]string{"v1": "host1@alpha", "v2": "host1@alpha#pool", "v3": "host1@alphabet#pool", "v4": "host2@alpha#pool"} {
		d.Exec(t, insertVolume, id, host, nil, nil, nil, "available", nil, nil, nil, false)
		d.Exec(t, insertGroup, "g"+id, host, nil, "available", nil, false)
	}
	db := d.Open(t)
	register(t, db, volume("host1@alpha"))
	register(t, db, volume("host2@alpha"))
	register(t, db, clustered("host1@alpha", "mycl@alpha"))
	for prefix, table := range map[string]string{"": "volumes", "g": `"groups"`} {
		wantColumn(t, d, table, "cluster_name", map[string]string{
			prefix + "v1": "mycl@alpha", prefix + "v2": "mycl@alpha#pool", prefix + "v3": "", prefix + "v4": "",
		})
	}
}
