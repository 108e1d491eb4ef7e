package oslo_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
	"stoker/internal/oslo"
)

func TestFailureErr(t *testing.T) {
	for _, tc := range []struct {
		name    string
		failure oslo.Failure
		kind    cinder.Kind
		message string
	}{
		{
			"a method that the service does not know",
			oslo.Failure{Module: "oslo_messaging.rpc.dispatcher", Class: "NoSuchMethod", Message: "no m"},
			cinder.KindNotSupported, "no m",
		},
		{
			"a version that it does not know",
			oslo.Failure{Module: "oslo_messaging.rpc.dispatcher", Class: "UnsupportedVersion", Message: "no 3.9"},
			cinder.KindNotSupported, "no 3.9",
		},
		{
			"an exception of the same name from elsewhere",
			oslo.Failure{Module: "builtins", Class: "NoSuchMethod", Message: "no m"},
			cinder.KindRemote, "no m",
		},
		{
			"an exception",
			oslo.Failure{Module: "cinder.exception", Class: "InvalidInput", Message: "nope\n", Trace: []string{"Traceback (most recent call last):\n", "  File\n"}},
			cinder.KindRemote, "nope",
		},
		{
			"an exception that was relayed with its traceback",
			oslo.Failure{Message: "nope\nfake traceback\n\nsecond line\n", Trace: []string{"fake traceback\n", "second line\n"}},
			cinder.KindRemote, "nope",
		},
		{
			"a remote error that quotes a traceback",
			oslo.Failure{Message: "Remote error: ValueError menu\n['Traceback (most recent call last):\\n', '  File x']"},
			cinder.KindRemote, "Remote error: ValueError menu",
		},
		{"an exception without a message", oslo.Failure{Class: "KeyError"}, cinder.KindRemote, "KeyError"},
		{"an exception without anything", oslo.Failure{}, cinder.KindRemote, "The service raised an exception without a message."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.failure.Err()
			if got := cinder.KindOf(err); got != tc.kind {
				t.Errorf("got kind %s, want %s", got, tc.kind)
			}
			if got := cinder.Message(err); got != tc.message {
				t.Errorf("got message %q, want %q", got, tc.message)
			}
		})
	}
}

func TestFailureOf(t *testing.T) {
	const generic = "The service could not carry out the request: its log says why."
	secret := errors.New("secret")
	for _, tc := range []struct {
		name                   string
		err                    error
		module, class, message string
		kwargs                 map[string]any
	}{
		{
			"bad input", fmt.Errorf("set: %w", cinder.Errorf(cinder.KindInvalid, "Invalid input received: x is not a valid log level.")),
			"cinder.exception", "InvalidInput", "Invalid input received: x is not a valid log level.",
			map[string]any{"reason": "x is not a valid log level.", "code": 400},
		},
		{
			"a conflict", cinder.Errorf(cinder.KindConflict, "no"),
			"cinder.exception", "InvalidInput", "no",
			map[string]any{"reason": "no", "code": 400},
		},
		{"nothing there", cinder.Errorf(cinder.KindNotFound, "no x"), "cinder.exception", "NotFound", "no x", map[string]any{"code": 404}},
		{"not allowed", cinder.Errorf(cinder.KindForbidden, "no"), "cinder.exception", "NotAuthorized", "no", map[string]any{"code": 403}},
		{"not supported", cinder.Errorf(cinder.KindNotSupported, "no"), "cinder.exception", "NotSupportedOperation", "no", map[string]any{"code": 405}},
		{"away", cinder.Wrap(cinder.KindUnavailable, secret, "away"), "cinder.exception", "ServiceUnavailable", "away", map[string]any{"code": 400}},
		{"late", cinder.Wrap(cinder.KindTimeout, secret, "late"), "cinder.exception", "RPCTimeout", "late", map[string]any{"code": 502}},
		{"ours to mend", cinder.Wrap(cinder.KindInternal, secret, "secret"), "cinder.exception", "CinderException", generic, map[string]any{"code": 500}},
		{"somebody else's words", cinder.Errorf(cinder.KindRemote, "secret"), "cinder.exception", "CinderException", generic, map[string]any{"code": 500}},
		{"none of ours", secret, "cinder.exception", "CinderException", generic, map[string]any{"code": 500}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := &oslo.Failure{
				Module: tc.module, Class: tc.class, Message: tc.message,
				Trace: []string{}, Args: []any{tc.message}, Kwargs: tc.kwargs,
			}
			if diff := cmp.Diff(want, oslo.FailureOf(tc.err)); diff != "" {
				t.Errorf("the failure (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFailureOfRecorded checks that an error with an exception of its own keeps its
// kind and message over the wire.
func TestFailureOfRecorded(t *testing.T) {
	for _, r := range recordings(t) {
		if r.isRequest() || !strings.HasSuffix(r.name, "-failure") {
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			reply, err := oslo.DecodeReply([]byte(r.Body))
			if err != nil {
				t.Fatal(err)
			}
			got := reply.Failure.Err()
			if cinder.Message(got) != reply.Failure.Message {
				t.Errorf("got message %q, want %q", cinder.Message(got), reply.Failure.Message)
			}
			if reply.Failure.Module != "oslo_messaging.rpc.dispatcher" {
				return
			}
			want := *reply.Failure
			want.Trace = []string{}
			if diff := cmp.Diff(&want, oslo.FailureOf(got)); diff != "" {
				t.Errorf("the failure sent on (-recorded +ours):\n%s", diff)
			}
		})
	}
}
