package rpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
	"stoker/internal/rpc"
)

// ask makes a raw call and returns its result.
func (b bus) ask(t *testing.T, to oslo.Destination, method, version, args string) (string, error) {
	t.Helper()
	client := oslo.NewClient(oslo.ClientOptions{Transport: b.Transport, ResponseTimeout: 5 * time.Second, Log: b.log})
	defer func() {
		if err := client.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	result, _, err := client.Call(t.Context(), to, method, version, json.RawMessage(args))
	return string(result), err
}

// versioned is a versioned object as JSON.
func versioned(name, data string) string {
	version := "1.0"
	if name == "Service" {
		version = "1.6"
	}
	return `{"versioned_object.name": "` + name + `", "versioned_object.namespace": "cinder", "versioned_object.version": "` +
		version + `", "versioned_object.data": ` + data + `}`
}

func compact(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, `": `, `":`), `, "`, `,"`)
}

func TestVolumeServiceListensWhereCindersDoes(t *testing.T) {
	b := newBus(t)
	b.serveVolume(t, "host1@alpha", "mycl@alpha")
	b.serveVolume(t, "host2@alpha", "mycl@alpha")
	for queue, want := range map[string]int{
		"cinder-volume":                   2,
		"cinder-volume.host1@alpha":       2, // the host's server queue, and that of its own topic
		"cinder-volume.host1@alpha.host1": 1,
		"cinder-volume.mycl@alpha":        2,
		"cinder-volume.mycl@alpha.mycl":   2,
	} {
		if got, err := b.Consumers(t.Context(), oslo.ToAny(queue)); got != want || err != nil {
			t.Errorf("%s has %d consumers (%v), want %d", queue, got, err, want)
		}
	}
}

func TestMembersOfAClusterShareItsCommands(t *testing.T) {
	b := newBus(t)
	one, two := b.serveVolume(t, "host1@alpha", "mycl@alpha"), b.serveVolume(t, "host2@alpha", "mycl@alpha")
	for range 10 {
		if err := b.Freeze(t.Context(), member("host1@alpha")); err != nil {
			t.Fatal(err)
		}
	}
	if len(one.came)+len(two.came) != 10 || len(one.came) == 0 || len(two.came) == 0 {
		t.Errorf("of 10 commands one member got %d and the other %d", len(one.came), len(two.came))
	}
	for _, r := range []*recorder{one, two} {
		for len(r.came) > 0 {
			<-r.came
		}
	}
	if err := b.FailoverCompleted(t.Context(), "mycl@alpha", cinder.FailoverOutcome{}); err != nil {
		t.Fatal(err)
	}
	one.next(t)
	two.next(t)
}

func TestServicesAnswer(t *testing.T) {
	volume, scheduler := oslo.ToServer("cinder-volume.host1@alpha", "host1"), oslo.ToAny("cinder-scheduler")
	levels := `"versioned_object.name": "LogLevel", "versioned_object.namespace": "cinder", "versioned_object.version": "1.0"`
	for _, tc := range []struct {
		name                  string
		to                    oslo.Destination
		method, version, args string
		want                  string
		kind                  cinder.Kind // of the error, when want is empty
		words                 string
	}{
		{"freeze", volume, "freeze_host", "3.0", "{}", "true", 0, ""},
		{"failover as a call", volume, "failover", "3.8", `{"secondary_backend_id": "x"}`, "null", 0, ""},
		{"the newest version", volume, "freeze_host", cinder.VolumeRPCVersion, "{}", "true", 0, ""},
		{
			"a newer version", volume, "freeze_host", "3.21", "{}", "", cinder.KindNotSupported,
			"Endpoint does not support RPC version 3.21. Attempted method: freeze_host",
		},
		{"a method of other services", volume, "get_pools", "3.0", "{}", "", cinder.KindNotSupported, "Endpoint does not support RPC method get_pools"},
		{
			"an argument too many", volume, "freeze_host", "3.0", `{"zz": 1}`, "", cinder.KindRemote,
			`Bad arguments: json: unknown field "zz"`,
		},
		{
			"a level that is none", volume, "set_log_levels", "3.12", `{"log_request": {` + levels + `, "versioned_object.data": {"prefix": "x", "level": "bogus"}}}`,
			"", cinder.KindRemote, "Invalid input received: bogus is not a valid log level.",
		},
		{
			"no level", volume, "set_log_levels", "3.12", `{"log_request": {` + levels + `, "versioned_object.data": {"prefix": "x"}}}`,
			"", cinder.KindRemote, "Invalid input received:  is not a valid log level.",
		},
		{"no object", volume, "set_log_levels", "3.12", `{}`, "", cinder.KindRemote, "Invalid input received: log_request is missing."},
		{"no question", volume, "get_log_levels", "3.12", `{}`, "", cinder.KindRemote, "Invalid input received: log_request is missing."},
		{
			"pools that have what is asked for", scheduler, "get_pools", "3.0", `{"filters": {"backend_state": "up", "tags": ["a"]}}`,
			`[{"name":"host1@alpha#alpha","capabilities":{"backend_state":"up","tags":["a"]}}]`, 0, "",
		},
		{
			"a pool by name", scheduler, "get_pools", "3.0", `{"filters": {"name": "host1@beta#beta"}}`,
			`[{"name":"host1@beta#beta","capabilities":{"backend_state":"down"}}]`, 0, "",
		},
		{
			"pools by what the API has as text", scheduler, "get_pools", "3.0", `{"filters": {"backend_state": "True"}}`,
			`[{"name":"host1@gamma#gamma","capabilities":{"backend_state":true}}]`, 0, "",
		},
		{
			"pools for a volume type", scheduler, "get_pools", "3.0", `{"filters": {"volume_type": "gold"}}`, "", cinder.KindRemote,
			"Invalid input received: this scheduler does not filter pools by volume type.",
		},
		{"capabilities", volume, "get_capabilities", "3.0", `{"discover": false}`, `{"vendor_name":"test"}`, 0, ""},
		{
			"cleanup", scheduler, "work_cleanup", "3.4", `{"cleanup_request": ` + versioned("CleanupRequest", `{"is_up": false}`) + `}`,
			`[[` + compact(versioned("Service", `{"id":3,"uuid":"","host":"host1@alpha","binary":"cinder-volume","topic":"","cluster_name":null,"disabled":false,"frozen":false}`)) + `],[]]`,
			0, "",
		},
		{"cleanup of nothing", scheduler, "work_cleanup", "3.4", `{}`, "", cinder.KindRemote, "Invalid input received: cleanup_request is missing."},
		{"cleanup of what is no object", volume, "do_cleanup", "3.7", `{"cleanup_request": {}}`, "", cinder.KindRemote, "Unsupported object type"},
		{"a method of volumes", scheduler, "create_volume", "3.0", `{"volume": {}}`, "", cinder.KindNotSupported, "Endpoint does not support RPC method create_volume"},
		{"a private method", volume, "_get_service", "3.0", "{}", "", cinder.KindNotSupported, "Endpoint does not support RPC method _get_service"},
		{"pools that nobody has", scheduler, "get_pools", "3.0", `{"filters": {"name": "x"}}`, `[]`, 0, ""},
		{
			"a time that is none", scheduler, "update_service_capabilities", "3.3",
			`{"service_name": "volume", "host": "h", "capabilities": {}, "cluster_name": null, "timestamp": "yesterday"}`,
			"", cinder.KindRemote, "Bad arguments: the timestamp is no ISO 8601 time",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBus(t)
			b.serveVolume(t, "host1@alpha", "")
			b.serveScheduler(t)
			got, err := b.ask(t, tc.to, tc.method, tc.version, tc.args)
			if got != tc.want {
				t.Errorf("got %s, want %s (%v)", got, tc.want, err)
			}
			if tc.want == "" && (cinder.KindOf(err) != tc.kind || cinder.Message(err) != tc.words) {
				t.Errorf("got %s error %q, want %s error %q", cinder.KindOf(err), cinder.Message(err), tc.kind, tc.words)
			}
		})
	}
}

func TestErrorsOfServices(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fails error
		kind  cinder.Kind
		words string
	}{
		{"bad input", cinder.Errorf(cinder.KindInvalid, "no such site"), cinder.KindRemote, "no such site"},
		{"none of the caller's business", errors.New("secret"), cinder.KindRemote, "The service could not carry out the request: its log says why."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBus(t)
			b.serveVolume(t, "host1@alpha", "").fails = tc.fails
			err := b.Freeze(t.Context(), alpha())
			if cinder.KindOf(err) != tc.kind || cinder.Message(err) != tc.words {
				t.Errorf("got %s error %q, want %s error %q", cinder.KindOf(err), cinder.Message(err), tc.kind, tc.words)
			}
		})
	}
}

func TestCapabilitiesWithoutTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t)
		scheduler := b.serveScheduler(t)
		for method, args := range map[string]string{
			"update_service_capabilities": `{"service_name": "volume", "host": "h", "capabilities": {}}`,
			"notify_service_capabilities": `{"service_name": "volume", "backend": "h", "capabilities": {}, "timestamp": null}`,
		} {
			if _, err := b.ask(t, oslo.ToAny("cinder-scheduler"), method, "3.0", args); err != nil {
				t.Fatal(err)
			}
			want := cinder.Capabilities{Service: "volume", Host: "h", Values: map[string]any{}, Time: time.Now().UTC()}
			if diff := cmp.Diff(want, scheduler.next(t).Arg); diff != "" {
				t.Errorf("%s (-want +got):\n%s", method, diff)
			}
		}
	})
}

// TestFailoverCompletedWithNulls checks that null empties a column, and that absent
// columns do not change.
func TestFailoverCompletedWithNulls(t *testing.T) {
	b := newBus(t)
	service := b.serveVolume(t, "host1@alpha", "mycl@alpha")
	for _, tc := range []struct {
		name, updates string
		want          cinder.FailoverOutcome
	}{
		{"nulls", `{"active_backend_id": null, "disabled_reason": null, "disabled": null, "replication_status": null, "frozen": true}`, cinder.FailoverOutcome{
			ActiveBackendID: new(""), DisabledReason: new(""),
		}},
		{"nothing", `{}`, cinder.FailoverOutcome{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := b.ask(t, oslo.ToAny("cinder-volume.mycl@alpha"), "failover_completed", "3.8", `{"updates": `+tc.updates+`}`); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, service.next(t).Arg); diff != "" {
				t.Errorf("the outcome (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := b.ask(t, oslo.ToAny("cinder-volume.mycl@alpha"), "failover_completed", "3.8", `{"updates": {"disabled": "yes"}}`); cinder.KindOf(err) != cinder.KindRemote {
		t.Errorf("a disabled that is no truth value: got error %v", err)
	}
}

func TestServingAClosedBusFails(t *testing.T) {
	b := newBus(t)
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, volume := rpc.ServeVolume(t.Context(), b.Transport, "host1@alpha", "", newRecorder(), b.log)
	_, scheduler := rpc.ServeScheduler(t.Context(), b.Transport, "host1", newRecorder(), b.log)
	_, backup := rpc.ServeBackup(t.Context(), b.Transport, "host1", newRecorder(), b.log)
	_, follow := b.Follow(t.Context(), b.Transport)
	for what, err := range map[string]error{"volume": volume, "scheduler": scheduler, "backup": backup, "follow": follow} {
		if cinder.KindOf(err) != cinder.KindUnavailable {
			t.Errorf("%s: got error %v, want one of kind %s", what, err, cinder.KindUnavailable)
		}
	}
}

// deaf is a bus on which fanouts fail.
type deaf struct{ oslo.Transport }

func (d deaf) Send(ctx context.Context, to oslo.Destination, m oslo.Message) error {
	if to.Route == oslo.RouteFanout {
		return cinder.Errorf(cinder.KindUnavailable, "away")
	}
	return d.Transport.Send(ctx, to, m)
}
