package rpc

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzUpdates checks that a decoded outcome survives encoding.
func FuzzUpdates(f *testing.F) {
	f.Add([]byte(`{"replication_status": "failed-over", "active_backend_id": "site-c", "disabled": true, "disabled_reason": "failed-over"}`))
	f.Add([]byte(`{"active_backend_id": null, "disabled": null, "other": [1]}`))
	f.Fuzz(func(t *testing.T, raw []byte) { again[updates](t, raw) })
}

func FuzzTimestamp(f *testing.F) {
	for _, s := range []string{"2026-11-23T08:52:15.359484", "2026-11-23T08:52:15", "2026-11-23T08:52:15Z", "2026-11-23T08:52:15.5+02:00"} {
		f.Add([]byte(`"` + s + `"`))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		// Fractions below a microsecond are lost.
		var at timestamp
		if json.Unmarshal(raw, &at) != nil {
			return
		}
		written, err := json.Marshal(at)
		if err != nil {
			t.Fatal(err)
		}
		again[timestamp](t, written)
	})
}

func again[V any](t *testing.T, raw []byte) {
	t.Helper()
	var first, second V
	if json.Unmarshal(raw, &first) != nil {
		return
	}
	written, err := json.Marshal(first)
	if err != nil {
		t.Fatalf("write %+v: %v", first, err)
	}
	if err := json.Unmarshal(written, &second); err != nil {
		t.Fatalf("read %s: %v", written, err)
	}
	if diff := cmp.Diff(first, second, cmp.AllowUnexported(timestamp{})); diff != "" {
		t.Errorf("read again (-first +second):\n%s", diff)
	}
}
