package store_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"stoker/internal/cinder"
	"stoker/internal/store"
)

func BenchmarkView10(b *testing.B)    { benchmarkView(b, 10) }
func BenchmarkView100(b *testing.B)   { benchmarkView(b, 100) }
func BenchmarkView1000(b *testing.B)  { benchmarkView(b, 1000) }
func BenchmarkView10000(b *testing.B) { benchmarkView(b, 10000) }

// benchmarkView measures listing n services: with no changes, by one caller per CPU,
// after each heartbeat of one service, and filtered by one host, which reads the
// tables.
func benchmarkView(b *testing.B, n int) {
	b.Helper()
	db := newFleet(b, n)
	view := func(b *testing.B, q cinder.ServiceQuery, want int) {
		b.Helper()
		v, err := db.View(b.Context(), q)
		if err != nil {
			b.Fatal(err)
		}
		if len(v.Services) != want {
			b.Fatalf("%d services, want %d", len(v.Services), want)
		}
	}
	b.Run("warm", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			view(b, cinder.ServiceQuery{}, n)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				view(b, cinder.ServiceQuery{}, n)
			}
		})
	})
	b.Run("after-a-write", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			if _, err := db.Beat(b.Context(), 1); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			view(b, cinder.ServiceQuery{}, n)
		}
	})
	b.Run("one-host", func(b *testing.B) {
		b.ReportAllocs()
		host := "stor00001"
		for b.Loop() {
			view(b, cinder.ServiceQuery{Host: &host}, 1)
		}
	})
}

// BenchmarkServers measures listing 1,000 services on a server, with no changes and
// after each heartbeat of one of them.
func BenchmarkServers(b *testing.B) {
	for _, e := range serverEngines() {
		b.Run(e.name, func(b *testing.B) {
			url := e.create(b)
			prepare(b, url)
			db := openURL(b, url)
			services := make([]cinder.Service, 1000)
			for i := range services {
				services[i] = cinder.Service{Host: fmt.Sprintf("stor%05d@lvm", i), Binary: cinder.BinaryVolume, Topic: cinder.BinaryVolume, Zone: "nova"}
			}
			if _, err := db.RegisterMany(b.Context(), services); err != nil {
				b.Fatal(err)
			}
			view := func() {
				if v, err := db.View(b.Context(), cinder.ServiceQuery{}); err != nil || len(v.Services) != len(services) {
					b.Fatal(err)
				}
			}
			b.Run("warm", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					view()
				}
			})
			b.Run("after-a-write", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					b.StopTimer()
					if _, err := db.Beat(b.Context(), 1); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
					view()
				}
			})
		})
	}
}

// TestFleetIsSmall bounds the memory that a process uses for 10,000 services.
func TestFleetIsSmall(t *testing.T) {
	db := newFleet(t, 10_000)
	before := heap()
	v, err := db.View(t.Context(), cinder.ServiceQuery{})
	if err != nil {
		t.Fatal(err)
	}
	if got, limit := int64(heap())-int64(before), int64(6_000_000); got > limit {
		t.Errorf("%d bytes for %d services, want at most %d", got, len(v.Services), limit)
	}
	runtime.KeepAlive(v)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkBeat(b *testing.B) {
	for _, n := range []int{1, 100, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			db := newFleet(b, n)
			ids := make([]int64, n)
			for i := range ids {
				ids[i] = int64(i + 1)
			}
			b.ReportAllocs()
			for b.Loop() {
				missing, err := db.Beat(b.Context(), ids...)
				if err != nil || len(missing) > 0 {
					b.Fatal(missing, err)
				}
			}
		})
	}
}

// BenchmarkRegister measures the first and the second start of a whole fleet.
func BenchmarkRegister(b *testing.B) {
	services := make([]cinder.Service, 10_000)
	for i := range services {
		services[i] = cinder.Service{
			Host: fmt.Sprintf("new%05d@lvm", i), Binary: cinder.BinaryVolume, Topic: cinder.BinaryVolume, Zone: "nova",
			RPCVersion: "3.18", ObjectVersion: "1.39", ReplicationStatus: cinder.ReplicationEnabled,
		}
	}
	path := b.TempDir() + "/stoker.db"
	db := open(b, path)
	many := func(b *testing.B) {
		b.Helper()
		if _, err := db.RegisterMany(b.Context(), services); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			execute(b, path, `DELETE FROM services`)
			b.StartTimer()
			many(b)
		}
	})
	b.Run("again", func(b *testing.B) {
		for b.Loop() {
			many(b)
		}
	})
}

// BenchmarkUpdate measures an enable or disable.
func BenchmarkUpdate(b *testing.B) {
	db := newFleet(b, 1000)
	host, binary := "stor00500@lvm", "cinder-volume"
	b.ReportAllocs()
	for b.Loop() {
		err := db.Update(b.Context(), func(tx *store.Tx) error {
			rows, err := tx.Services(b.Context(), cinder.ServiceQuery{Host: &host, Binary: &binary})
			if err != nil {
				return err
			}
			now := rows[0]
			now.Disabled, now.ModifiedAt = !now.Disabled, tx.Now()
			return tx.SaveService(b.Context(), rows[0], now)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// newFleet is a database with n volume services on n hosts, every tenth in a cluster.
func newFleet(tb testing.TB, n int) *store.DB {
	tb.Helper()
	path := tb.TempDir() + "/stoker.db"
	db := open(tb, path)
	var rows strings.Builder
	for i := range n {
		cluster := "NULL"
		if i%10 == 0 {
			cluster = fmt.Sprintf("'cluster%d@lvm'", i/100)
		}
		if i > 0 {
			rows.WriteString(",")
		}
		fmt.Fprintf(&rows, `('2026-11-23 08:00:00.000000', '2026-11-23 09:%02d:%02d.000000', 0, 'stor%05d@lvm', 'cinder-volume',
			'cinder-volume', %d, 0, 'nova', '3.18', '1.39', 'enabled', 0, %s, '00000000-0000-4000-8000-%012d')`,
			i%60, i%59, i, i, cluster, i)
	}
	execute(tb, path, `INSERT INTO services (created_at, updated_at, deleted, host, "binary", topic, report_count, disabled,
		availability_zone, rpc_current_version, object_current_version, replication_status, frozen, cluster_name, uuid)
		VALUES `+rows.String())
	return db
}
