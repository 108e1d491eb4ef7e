package app_test

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/app"
	"stoker/internal/cinder"
	"stoker/internal/client"
	"stoker/internal/config"
	"stoker/internal/oslo/amqp"
	"stoker/test/peers"
)

// An API whose broker is away serves what needs none, and stops when it is told.
func TestAPIWithoutItsBroker(t *testing.T) {
	dir := t.TempDir()
	rows := start(t, standalone(t, dir)) // leaves rows behind
	if err := rows.Stop(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	o := standalone(t, dir)
	o = app.Options{Config: o.Config, API: true}
	o.Config.TransportURL = config.URL("rabbit://guest:hunter2@" + peers.Nobody(t) + "/")
	s := start(t, o)
	services, err := s.Services(t.Context(), client.ServiceFilter{})
	if err != nil || len(services) != 5 {
		t.Errorf("%d services, %v; want 5", len(services), err)
	}
	if _, err := s.Freeze(t.Context(), client.Target{Host: "stoker@alpha"}); cinder.KindOf(err) != cinder.KindUnavailable {
		t.Errorf("a freeze without a broker: %v", err)
	}
	eventually(t, "the log says that the bus is away", func() bool { return strings.Contains(s.logs.String(), "the bus is away") })
	if log := s.logs.String(); strings.Contains(log, "hunter2") {
		t.Errorf("the log says\n%s", log)
	}
	res, err := http.Get(s.URL() + "/healthcheck") //nolint:noctx // A test.
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("healthcheck: %d", res.StatusCode)
	}
}

// A service whose broker is away beats.
func TestServiceWithoutItsBroker(t *testing.T) {
	o := app.Options{Config: config.Default(), Scheduler: true, Sync: true}
	o.Config.AuthStrategy, o.Config.Host = config.AuthNoauth, "host1"
	o.Config.Database = config.URL("sqlite:///" + filepath.Join(t.TempDir(), "x.db"))
	o.Config.TransportURL = config.URL("rabbit://guest:hunter2@" + peers.Nobody(t) + "/")
	logs := &syncBuffer{}
	o.Log = logs
	a, err := app.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.Stop(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
	if log := logs.String(); strings.Contains(log, "hunter2") || !strings.Contains(log, "commands are served once it connects") {
		t.Errorf("the log says\n%s", log)
	}
}

// The defaults are written down twice: for who reads a file, and for who makes a
// transport in code.
func TestRabbitByDefault(t *testing.T) {
	if diff := cmp.Diff(amqp.DefaultRabbit(), app.Rabbit(config.Default().Rabbit)); diff != "" {
		t.Errorf("[oslo_messaging_rabbit] by default (-of the transport +of the configuration):\n%s", diff)
	}
}
