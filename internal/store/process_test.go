package store_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"stoker/internal/cinder"
	"stoker/internal/store"
	"stoker/test/peers"
)

// processEnv makes this test binary run as another process on the database at this URL.
const processEnv = "STORE_TEST_DATABASE"

// servers are the database servers shared by the tests of this package.
var servers peers.Shared

func TestMain(m *testing.M) {
	if path := os.Getenv(processEnv); path != "" {
		if err := otherProcess(path, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(servers.Run(m))
}

// otherProcess writes each reason that it reads to every service, and prints when that
// is acknowledged; on "hang" it blocks inside a transaction for ever.
func otherProcess(path string, in io.Reader, out io.Writer) error {
	ctx := context.Background()
	db, err := store.Open(ctx, store.Options{URL: "sqlite:///" + path})
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		reason := lines.Text()
		err := db.Update(ctx, func(tx *store.Tx) error {
			rows, err := tx.Services(ctx, cinder.ServiceQuery{})
			if err != nil {
				return err
			}
			for _, was := range rows {
				now := was
				now.DisabledReason = &reason
				if err := tx.SaveService(ctx, was, now); err != nil {
					return err
				}
			}
			if reason == "hang" {
				fmt.Fprintln(out, reason)
				_, err = io.ReadAll(in)
			}
			return err
		})
		if err != nil {
			return err
		}
		fmt.Fprintln(out, reason)
	}
	return db.Close()
}

func TestAnotherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stoker.db")
	db := open(t, path)
	if _, err := db.Register(t.Context(), cinder.Service{Host: "h@b", Binary: cinder.BinaryVolume}); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), processEnv+"="+path)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewScanner(out)
	tell := func(reason string) {
		fmt.Fprintln(in, reason)
		if !answers.Scan() || answers.Text() != reason {
			t.Fatalf("the other process answers %q (%v), want %q", answers.Text(), answers.Err(), reason)
		}
	}
	want := ""
	shown := func() string {
		v, err := db.View(t.Context(), cinder.ServiceQuery{})
		if err != nil {
			t.Fatal(err)
		}
		return *v.Services[0].DisabledReason
	}
	for i := range 50 {
		want = fmt.Sprint("round ", i)
		tell(want)
		if got := shown(); got != want {
			t.Fatalf("shown %q, want %q, which the other process has acknowledged", got, want)
		}
	}
	tell("hang")
	if got := shown(); got != want {
		t.Errorf("shown %q, want %q: the other's transaction has not ended", got, want)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if missing, err := db.Beat(t.Context(), 1); err != nil || len(missing) != 0 {
		t.Errorf("missing %v, error %v, want the lock to have gone with the process", missing, err)
	}
	if got := shown(); got != want {
		t.Errorf("shown %q, want %q: the other's transaction died with it", got, want)
	}
}
