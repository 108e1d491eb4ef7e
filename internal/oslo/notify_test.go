package oslo_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
	"stoker/internal/oslo/memory"
)

// TestNotify checks that a notification has the form of oslo.messaging's notifier with
// messagingv2, and that one without a queue is lost silently.
func TestNotify(t *testing.T) {
	bus := memory.New()
	c := oslo.NewClient(oslo.ClientOptions{Transport: bus, ResponseTimeout: time.Second, Log: slog.New(slog.DiscardHandler)})
	defer func() { _ = c.Close(context.Background()); _ = bus.Close(context.Background()) }()
	got := make(chan oslo.Message, 2)
	l, err := bus.Listen(t.Context(), []oslo.Destination{oslo.ToAny("notifications.info")}, func(_ context.Context, m oslo.Message) { got <- m })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close(context.Background()) }()
	ctx := cinder.WithCaller(t.Context(), cinder.Caller{UserID: "ada", ProjectID: "p", RequestID: "req-1"})
	n := oslo.Notification{Publisher: "service.ctl1", Event: "service.freeze.end", Priority: "INFO", Payload: map[string]any{"host": "h@b"}}
	if err := c.Notify(ctx, []string{"nobody", "notifications"}, n); err != nil {
		t.Fatal(err)
	}
	var envelope map[string]string
	var inner map[string]any
	if err := json.Unmarshal((<-got).Body, &envelope); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(envelope["oslo.message"]), &inner); err != nil || envelope["oslo.version"] != "2.0" {
		t.Fatalf("%v, %v", envelope, err)
	}
	for field, form := range map[string]string{
		"message_id": `^[0-9a-f-]{36}$`, "timestamp": `^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}$`, "_unique_id": `^[0-9a-f]{32}$`,
	} {
		if text, _ := inner[field].(string); !regexp.MustCompile(form).MatchString(text) {
			t.Errorf("%s is %v", field, inner[field])
		}
	}
	want := map[string]any{
		"publisher_id": "service.ctl1", "event_type": "service.freeze.end", "priority": "INFO", "payload": map[string]any{"host": "h@b"},
		"_context_user_id": "ada", "_context_project_id": "p", "_context_request_id": "req-1", "_context_auth_token": nil,
	}
	for field := range want {
		if diff := cmp.Diff(want[field], inner[field]); diff != "" {
			t.Errorf("%s: %s", field, diff)
		}
	}
}
