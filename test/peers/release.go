package peers

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Release is the operating system whose packages the peers come from: this
// machine's own, or another one in a directory, which install.sh makes. The
// programs of that one run in a root of their own, and in a mount namespace of
// their own, which ends with them: nothing is left mounted, whatever happens.
type Release string

// The releases, and what they have. The empty Release is Bookworm.
const (
	Bookworm Release = "bookworm" // this machine's: Cinder 21, RabbitMQ 3.10, MariaDB 10.11, Keystone 22
	Trixie   Release = "trixie"   // Cinder 26, RabbitMQ 4.0, MariaDB 11.8, Keystone 27
	Sid      Release = "sid"      // the newest there is: Cinder 29 at first
)

// roots is the directory of the roots, as install.sh has it.
const roots = "/var/lib/stoker-peers"

// rabbitOptions are what deployers write of oslo_messaging_rabbit beside such a
// release. The queue manager takes two services of a kind for one when they give the
// same name of a machine.
func (r Release) rabbitOptions(host string) string {
	if r.root() == "" {
		return ""
	}
	return `rabbit_quorum_queue = true
rabbit_transient_quorum_queue = true
rabbit_stream_fanout = true
use_queue_manager = true
hostname = ` + host + `
rabbit_qos_prefetch_count = 1
heartbeat_in_pthread = false
`
}

// Streams reports whether fanouts go by streams, of which Cinder is given the last
// message again at every start.
func (r Release) Streams() bool { return r.root() != "" }

// Releases are those that tests run beside: Bookworm and Trixie, or those that
// STOKER_RELEASES names, with commas between them.
func Releases() []Release {
	names := os.Getenv("STOKER_RELEASES")
	if names == "" {
		return []Release{Bookworm, Trixie}
	}
	var all []Release
	for name := range strings.SplitSeq(names, ",") {
		all = append(all, Release(name))
	}
	return all
}

// root is where its files are, "" for this machine's own.
func (r Release) root() string {
	if r == "" || r == Bookworm {
		return ""
	}
	return filepath.Join(roots, string(r))
}

// Need finds a program by its name or a pattern of its path, as the package's
// Need does. The path is the one that the program has inside of the release.
func (r Release) Need(tb testing.TB, peer string, patterns ...string) string {
	tb.Helper()
	root := r.root()
	if root == "" {
		return Need(tb, peer, patterns...)
	}
	if os.Getuid() != 0 {
		missing(tb, fmt.Sprintf("%s of %s needs root", peer, r))
	}
	if _, err := os.Stat(root); err != nil {
		missing(tb, fmt.Sprintf("%s is not made: %v", r, err))
	}
	for _, p := range patterns {
		places := []string{p}
		if !filepath.IsAbs(p) {
			places = []string{filepath.Join("/usr/bin", p), filepath.Join("/usr/sbin", p)}
		}
		for _, place := range places {
			if found, err := filepath.Glob(root + place); err == nil && len(found) > 0 {
				return strings.TrimPrefix(found[len(found)-1], root)
			}
		}
	}
	missing(tb, fmt.Sprintf("%s is not installed in %s (no %v)", peer, root, patterns))
	return ""
}

// Command returns a program of the release that is ready to be started, with the
// environment of this process. It sees the temporary directory where it is, and
// nothing else of this machine's files.
func (r Release) Command(ctx context.Context, path string, args ...string) *exec.Cmd {
	return r.command(ctx, "/", nil, path, args)
}

// enter makes a root ready and becomes the program that it is given: mounts are
// those of the process alone. A process that is killed, stopped or told to end is
// so the program itself.
const enter = `set -e
root=$0 tmp=$1 dir=$2 as=$3; shift 3
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mkdir -p "$root$tmp"
mount --bind "$tmp" "$root$tmp"
exec chroot --userspec="$as" "$root" env --chdir="$dir" "$@"`

// command is Command in a directory, and as another user.
func (r Release) command(ctx context.Context, dir string, as *syscall.Credential, path string, args []string) *exec.Cmd {
	root := r.root()
	if root == "" {
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
		if dir != "/" {
			cmd.Dir = dir
		}
		return cmd
	}
	who := "+0:+0"
	if as != nil {
		who = fmt.Sprintf("+%d:+%d", as.Uid, as.Gid)
	}
	cmd := exec.CommandContext(ctx, "unshare", append([]string{
		"--mount", "--propagation", "private", "/bin/sh", "-c", enter, root, os.TempDir(), dir, who, path,
	}, args...)...)
	// It leads its process group: oslo.messaging looks for the leader in /proc.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// account returns who a program runs as that refuses to run as root, nil for
// the user we are when that is not root. The directory becomes that user's.
func (r Release) account(name, dir string) (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil //nolint:nilnil // a nil credential is what the system knows as "the same user".
	}
	text, err := os.ReadFile(r.root() + "/etc/passwd")
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(text) {
		fields := strings.Split(string(line), ":")
		if fields[0] != name || len(fields) < 4 {
			continue
		}
		uid, err := strconv.ParseUint(fields[2], 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(fields[3], 10, 32)
		if err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(dir, int(uid), int(gid))
	}
	return nil, fmt.Errorf("%s has no account %s", r, name)
}
