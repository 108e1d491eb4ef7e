package agent

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/telemetry"
)

func newFleet(r *rows, size int) (*Fleet, *buffer) {
	out := &buffer{}
	log := telemetry.NewLoggers(telemetry.NewHandler(out, telemetry.Text), cinder.LogInfo).Logger("stoker.fleet")
	return NewFleet(FleetOptions{Size: size, Zone: "nova", Store: r, Log: log, ReportInterval: 10 * time.Second}), out
}

func TestFleetBeats(t *testing.T) {
	for _, size := range []int{0, 1, 7, 100, 1234} {
		synctest.Test(t, func(t *testing.T) {
			r := newRows()
			f, _ := newFleet(r, size)
			if err := f.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			pass(time.Millisecond)
			if _, beats := r.look(); len(beats) != size {
				t.Errorf("%d of %d beat at once", len(beats), size)
			}
			pass(30 * time.Second)
			if err := f.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			services, beats := r.look()
			for _, row := range services {
				if row.ReportCount != 4 || row.Binary != "cinder-volume" || row.RPCVersion != cinder.VolumeRPCVersion {
					t.Errorf("%d reports of %s in 30 s and at the start, want 4", row.ReportCount, row.Host)
				}
			}
			most := map[time.Duration]int{}
			for _, beat := range beats[size:] {
				most[beat.Sub(began)]++
			}
			for at, n := range most {
				if n > size/20+1 {
					t.Errorf("%d beat after %v, want them spread over the interval", n, at)
				}
			}
			if size > 0 && (services[0].Host != "sim-00001@mirror" || len(services) != size) {
				t.Errorf("%d rows, the first is %s", len(services), services[0].Host)
			}
		})
	}
}

func TestFleetRegistersAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRows()
		f, out := newFleet(r, 50)
		if err := f.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.remove("sim-00007@mirror")
		pass(11 * time.Second)
		if services, _ := r.look(); len(services) != 50 || r.row(t, "sim-00007@mirror").ID != 51 {
			t.Errorf("%d rows; number 7 is not back", len(services))
		}
		r.setAway(errAway)
		pass(20 * time.Second)
		r.setAway(nil)
		pass(20 * time.Second)
		if got := strings.Count(out.String(), "level=WARNING"); got != 1 {
			t.Errorf("%d warnings, want one:\n%s", got, out.String())
		}
		if err := f.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if services, _ := r.look(); !slices.ContainsFunc(services, func(s cinder.Service) bool { return s.ReportCount > 3 }) {
			t.Error("no heartbeats after the database came back")
		}
	})
}

func TestFleetThatCannotRegister(t *testing.T) {
	r := newRows()
	r.setAway(errAway)
	f, _ := newFleet(r, 3)
	if err := f.Start(t.Context()); !errors.Is(err, errAway) {
		t.Errorf("Start gives %v", err)
	}
	if err := f.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
