package rpc_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
	"stoker/internal/rpc"
)

func alpha() cinder.Service {
	return cinder.Service{Binary: cinder.BinaryVolume, Host: "host1@alpha", RPCVersion: rpc.VolumeVersion}
}

func TestFreezeReachesTheServiceWithItsCaller(t *testing.T) {
	b, service := newBus(t), newRecorder()
	s, err := rpc.ServeVolume(t.Context(), b.Transport, "host1@alpha", "", service, b.log)
	closed(t, s, err)
	caller := cinder.Caller{
		UserID: "u1", ProjectID: "p1", Roles: []string{"admin", "member"}, IsAdmin: true,
		RequestID: "req-1", GlobalRequestID: "req-0", Address: "192.0.2.7",
	}
	if err := b.Freeze(cinder.WithCaller(t.Context(), caller), alpha()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(command{"freeze", nil, caller}, service.next(t)); diff != "" {
		t.Errorf("what reached the service (-want +got):\n%s", diff)
	}
}
