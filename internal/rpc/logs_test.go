package rpc_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cinder"
)

func TestLogLevels(t *testing.T) {
	for _, binary := range []string{cinder.BinaryVolume, cinder.BinaryScheduler, cinder.BinaryBackup} {
		t.Run(binary, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBus(t)
				b.serveVolume(t, "host1", "")
				b.serveScheduler(t)
				b.serveBackup(t)
				s := of(binary)
				s.Cluster = "mycl" // log levels belong to a host, not a cluster
				for _, step := range []struct {
					prefix string
					set    cinder.LogLevel // set first; "" for none
					want   map[string]cinder.LogLevel
				}{
					{"", "", map[string]cinder.LogLevel{"stoker.agent": "INFO", "stoker.backend": "WARNING"}},
					{"stoker.b", cinder.LogDebug, map[string]cinder.LogLevel{"stoker.backend": "DEBUG"}},
					{"", cinder.LogError, map[string]cinder.LogLevel{"stoker.agent": "ERROR", "stoker.backend": "ERROR"}},
					{"nothing", "", map[string]cinder.LogLevel{}},
				} {
					if step.set != "" {
						if err := b.SetLogLevel(t.Context(), s, step.prefix, step.set); err != nil {
							t.Fatal(err)
						}
						synctest.Wait() // SetLogLevel does not wait for the service
					}
					got, err := b.LogLevels(t.Context(), s, step.prefix)
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(step.want, got); diff != "" {
						t.Errorf("levels of %q (-want +got):\n%s", step.prefix, diff)
					}
				}
			})
		})
	}
}

func TestServicesWithoutLogLevels(t *testing.T) {
	for _, tc := range []struct {
		name    string
		service cinder.Service
		kind    cinder.Kind
		words   string
	}{
		{
			"too old",
			cinder.Service{Binary: cinder.BinaryVolume, Host: "host1@alpha", RPCVersion: "3.11"},
			cinder.KindNotSupported,
			"One of cinder-volume services is too old to accept get_log_levels request. Required RPC API version is 3.12. Are you running mixed versions of cinder-volumes?",
		},
		{
			"one that does not say how old it is",
			cinder.Service{Binary: cinder.BinaryBackup, Host: "host1"},
			cinder.KindNotSupported,
			"One of cinder-backup services is too old to accept get_log_levels request. Required RPC API version is 2.1. Are you running mixed versions of cinder-backups?",
		},
		{"not a service of ours", of("nova-compute"), cinder.KindInvalid, "Services of nova-compute have no log levels."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBus(t)
			_, err := b.LogLevels(t.Context(), tc.service, "")
			if cinder.KindOf(err) != tc.kind || cinder.Message(err) != tc.words {
				t.Errorf("get: got %s error %q, want %s error %q", cinder.KindOf(err), cinder.Message(err), tc.kind, tc.words)
			}
			err = b.SetLogLevel(t.Context(), tc.service, "", cinder.LogInfo)
			if words := strings.ReplaceAll(tc.words, "get_log", "set_log"); cinder.KindOf(err) != tc.kind || cinder.Message(err) != words {
				t.Errorf("set: got %s error %q, want %s error %q", cinder.KindOf(err), cinder.Message(err), tc.kind, words)
			}
		})
	}
}
