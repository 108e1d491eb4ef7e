package deployers

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/internal/cli"
	"stoker/test/peers"
)

var update = flag.Bool("update", false, "write the golden files")

var engines peers.Shared

func TestMain(m *testing.M) { os.Exit(engines.Run(m)) }

// deployment is what one tool writes. Names of files and directories are below
// testdata, in the directory that is named after the tool and its release.
type deployment struct {
	name        string
	api, volume []string // the arguments by which the programs get their configuration
	hosts       []string // of the volume services; host stands for that of the machine
}

// host is what a machine is called that its file gives no name.
const host = "machine"

func deployments() []deployment {
	file := func(names ...string) []string {
		var args []string
		for _, name := range names {
			args = append(args, "--config-file", name)
		}
		return args
	}
	api, volume, both := file("api.conf"), file("volume.conf"), file("cinder.conf")
	return []deployment{
		{"kolla-ansible-2024.1", api, volume, []string{host + "@lvm-1", host + "@rbd-1"}},
		{"kolla-ansible-2025.1", api, volume, []string{host + "@lvm-1", host + "@rbd-1"}},
		{"kolla-ansible-2026.1", api, volume, []string{host + "@lvm-1", host + "@rbd-1"}},
		{"openstack-ansible-2024.1", api, volume, []string{host + "@lvm", host + "@rbd"}},
		{"openstack-ansible-master", api, volume, []string{host + "@lvm", host + "@rbd"}},
		{"openstack-helm", both, file("cinder.conf", "backends.conf", "internal_tenant.conf"), []string{"cinder-volume-worker@rbd1"}},
		{"cinder-operator", []string{"--config-dir", "api"}, []string{"--config-dir", "volume"}, []string{host + "@ceph", host + "@ontap"}},
		{"charm-cinder", both, both, []string{host + "@LVM", host + "@CEPH", "cinder-ceph@cinder-ceph"}},
		{"devstack", both, both, []string{host + "@lvmdriver-1", host + "@ceph"}},
		{"debian", both, both, []string{host + "@lvm"}},
		{"packstack", file("cinder-dist.conf", "cinder.conf"), file("cinder-dist.conf", "cinder.conf"), []string{host + "@lvm", "rbd:volumes@rbd"}},
	}
}

// machine is what is filled into the files, by the name that it has there.
type machine map[string]string

// write copies the files of a deployment into a directory of their own and returns it.
func (m machine) write(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	pairs := []string{"<DIR>", dir}
	for name, value := range m {
		pairs = append(pairs, "<"+name+">", value)
	}
	fill := strings.NewReplacer(pairs...)
	from := filepath.Join("testdata", name)
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dir, strings.TrimPrefix(path, from))
		if d.IsDir() {
			return os.MkdirAll(to, 0o700)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, []byte(fill.Replace(string(text))), 0o600)
	})
	if err == nil {
		err = errors.Join(os.Mkdir(filepath.Join(dir, "log"), 0o700), os.Mkdir(filepath.Join(dir, "state"), 0o700))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// in puts the directory before the names among the arguments.
func in(dir string, args []string) []string {
	var all []string
	for _, arg := range args {
		if !strings.HasPrefix(arg, "--") {
			arg = filepath.Join(dir, arg)
		}
		all = append(all, arg)
	}
	return all
}

// What `config check` says of each file: no fault, and of what is ignored that which
// an operator has to know.
func TestCheck(t *testing.T) {
	m := machine{
		"BROKER": "openstack:made-up@192.0.2.11:5672", "TLS BROKER": "openstack:made-up@192.0.2.11:5671", "VHOST": "made-up",
		"DATABASE": "cinder:made-up@192.0.2.10:3306/cinder", "KEYSTONE": "http://192.0.2.10:5000", "PASSWORD": "made-up",
		"CA": "/etc/ssl/ca.pem", "CERT": "/etc/ssl/cert.pem", "KEY": "/etc/ssl/key.pem",
	}
	for _, d := range deployments() {
		for _, use := range []struct {
			program string
			args    []string
		}{{"api", d.api}, {"volume", d.volume}} {
			t.Run(d.name+"/"+use.program, func(t *testing.T) {
				dir := m.write(t, d.name)
				var out bytes.Buffer
				status := cli.Run(t.Context(), cli.Process{
					Args: append([]string{"config", "check", "--for", use.program}, in(dir, use.args)...), Stdout: &out, Stderr: &out,
				}, cli.Servers())
				if status != 0 {
					t.Errorf("exit status %d", status)
				}
				golden(t, filepath.Join("testdata", d.name, use.program+".txt"), strings.ReplaceAll(out.String(), dir, "DIR"))
			})
		}
	}
}

// golden compares got with a file, or writes it there with -update.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil { //nolint:gosec // as the rest of the sources
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it):\n%s", file, diff)
	}
}
