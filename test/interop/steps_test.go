package interop

import (
	"net/http"
	"testing"
)

// The lines of a replicated service in the states that these walks lead through.
const (
	frozen      = "disabled 'frozen' enabled frozen"
	failingOver = "enabled failing-over"
	onSiteB     = "disabled 'failed-over' failed-over on site-b"
	onSiteC     = "disabled 'failed-over' failed-over on site-c"
)

const (
	ok       = http.StatusOK
	accepted = http.StatusAccepted
	bad      = http.StatusBadRequest
	conflict = http.StatusConflict
)

// What a backend says that refuses to thaw, and what is said of it where its
// words are not known.
const (
	rebuilding = "the array is rebuilding"
	refused    = "Backend reported error during thaw_host operation"
)

// freezing are the steps of freeze and thaw, and of enable and disable between them.
func freezing() []step {
	return []step{
		{name: "freeze", action: "freeze", want: want{ok, "", frozen}},
		{name: "freeze again", action: "freeze", want: want{bad, "frozen in", frozen}},
		{
			name: "enable what is frozen", action: "enable", body: map[string]any{"binary": "cinder-volume"},
			want: want{bad, "frozen", frozen}, cinder: &want{ok, "enabled", "enabled 'frozen' enabled frozen"},
		},
		{name: "thaw", action: "thaw", want: want{ok, "", healthy}},
		{name: "thaw again", action: "thaw", want: want{bad, "", healthy}},
		{
			name: "disable", action: "disable-log-reason", body: map[string]any{"binary": "cinder-volume", "disabled_reason": "disk swap"},
			want: want{ok, "disk swap", "disabled 'disk swap' enabled"},
		},
		{name: "freeze what is disabled", action: "freeze", want: want{ok, "", frozen}},
		{
			name: "thaw what is disabled", action: "thaw",
			want: want{ok, "", "disabled 'disk swap' enabled"}, cinder: &want{ok, "", healthy},
		},
		{
			name: "enable", action: "enable", body: map[string]any{"binary": "cinder-volume"},
			want: want{ok, "enabled", healthy},
		},
	}
}

// failingOvers are the steps of failover and failback.
func failingOvers() []step {
	to := func(target string) map[string]any { return map[string]any{"backend_id": target} }
	return []step{
		{name: "failover to none in particular", action: "failover@3.26", want: want{accepted, "", onSiteB}},
		{
			name: "failover to another target", action: "failover@3.26", body: to("site-c"), want: want{accepted, "", onSiteC},
		},
		{name: "failback", action: "failover@3.26", body: to("default"), want: want{accepted, "", healthy}},
		{
			name: "failover to an unknown target", action: "failover@3.26", body: to("nowhere"),
			want: want{bad, "nowhere is no replication target", healthy}, python: &want{accepted, "", healthy}, cinder: &want{accepted, "", healthy},
			announced: true,
		},
		{name: "freeze", action: "freeze", want: want{ok, "", frozen}},
		{
			name: "failover of what is frozen", action: "failover@3.26", body: to("site-c"), want: want{accepted, "", onSiteC + " frozen"},
		},
		{name: "thaw of what is failed over", action: "thaw", want: want{ok, "", onSiteC}},
		{name: "failback after it", action: "failover@3.26", body: to("default"), want: want{accepted, "", healthy}},
		{name: "freeze once more", action: "freeze", want: want{ok, "", frozen}},
		{
			name: "failover of it", action: "failover@3.26", body: to("site-b"), want: want{accepted, "", onSiteB + " frozen"},
		},
		{name: "failback of what is frozen", action: "failover@3.26", body: to("default"), want: want{accepted, "", frozen}},
		{name: "thaw at last", action: "thaw", want: want{ok, "", healthy}},
	}
}

// exploding are the steps of a failover that fails, to a target where it does.
func exploding(target string, arrange, restore func(*testing.T)) []step {
	const failed = "disabled failover-error"
	to := func(target string) map[string]any { return map[string]any{"backend_id": target} }
	return []step{
		{name: "a failover that fails", arrange: arrange, action: "failover@3.26", body: to(target), want: want{accepted, "", failed}},
		{
			name: "failback after it", action: "failover@3.26", body: to("default"),
			want: want{accepted, "", healthy}, cinder: &want{bad, "", failed}, after: restore,
		},
	}
}

// refusing are the steps of a backend that does not thaw, told so by refuse, and
// does in the end. A Python service keeps the backend's words to itself.
func refusing(refuse func(t *testing.T, words string), says string) []step {
	return []step{
		{name: "freeze", action: "freeze", want: want{ok, "", frozen}},
		{
			name: "thaw refused", arrange: func(t *testing.T) { t.Helper(); refuse(t, rebuilding) }, action: "thaw",
			want: want{conflict, says, frozen}, cinder: &want{ok, refused, "disabled 'frozen' enabled"},
		},
		{
			name: "thaw", arrange: func(t *testing.T) { t.Helper(); refuse(t, "") }, action: "thaw",
			want: want{ok, "", healthy}, cinder: &want{bad, "", "disabled 'frozen' enabled"},
		},
	}
}
