package config

import (
	"maps"
	"slices"
	"strings"

	"stoker/internal/cinder"
	"stoker/internal/osloconf"
)

// defaultsSection holds the options that backends share: a backend whose own
// section does not set an option has it from there, as in Cinder.
const defaultsSection = "backend_defaults"

const replicationDevice = "replication_device"

// Backend is one volume backend: a section that enabled_backends names.
type Backend struct {
	Section            string
	Name               string              // volume_backend_name; the section when it is not set
	Host               string              // backend_host; "" is the host of the process
	Zone               string              // backend_availability_zone; "" is that of the process
	ReplicationDevices []ReplicationDevice // replication_device
	MirrorRoot         string              // stoker_mirror_root
}

// ReplicationDevice is a place that a backend can fail over to.
type ReplicationDevice struct {
	BackendID string
	Params    map[string]string // what the driver wants to know besides; may hold secrets
}

// String is the device as a file would have it, but for the parameters' values.
func (d ReplicationDevice) String() string {
	var b strings.Builder
	b.WriteString("backend_id:" + d.BackendID)
	for _, k := range slices.Sorted(maps.Keys(d.Params)) {
		b.WriteString("," + k + ":***")
	}
	return b.String()
}

// GoString is String, for %#v.
func (d ReplicationDevice) GoString() string { return d.String() }

// MarshalText is String, for logs and JSON.
func (d ReplicationDevice) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// parseDevice reads key:value pairs separated by commas.
func parseDevice(s string) (ReplicationDevice, bool) {
	d := ReplicationDevice{Params: map[string]string{}}
	for part := range strings.SplitSeq(s, ",") {
		key, value, ok := strings.Cut(part, ":")
		key = strings.TrimSpace(key)
		if _, twice := d.Params[key]; !ok || key == "" || twice {
			return ReplicationDevice{}, false
		}
		d.Params[key] = strings.TrimSpace(value)
	}
	d.BackendID = d.Params["backend_id"]
	delete(d.Params, "backend_id")
	return d, true
}

// backendOptions are those of a backend's section.
func backendOptions() []option[Backend] {
	return []option[Backend]{
		text(option[Backend]{
			name: "volume_backend_name",
			help: "The name that volume types ask for. Several backends may share it. The default is the name of the section.",
		}, "a name of at most 255 characters", validName, func(b *Backend) *string { return &b.Name }),
		text(option[Backend]{
			name: "backend_host", own: true,
			help: "The host of the backend's service, before the @, in place of host: that of a backend which several machines take turns to run. Empty: host. Not looked up in [backend_defaults], as in Cinder.",
		}, "empty, or a name of at most 255 characters without white space, @ and #", optionalHost, func(b *Backend) *string { return &b.Host }),
		text(option[Backend]{
			name: "backend_availability_zone",
			help: "The availability zone of the backend's service. Empty: storage_availability_zone.",
		}, "a name of at most 255 characters, or empty", func(s string) bool { return s == "" || validName(s) }, func(b *Backend) *string { return &b.Zone }),
		{
			name: replicationDevice, multi: true,
			help: "A place to fail over to: backend_id:NAME, and what the driver wants to know as further key:value pairs, separated by commas. One line for each place. " +
				"Devices that some of Cinder's drivers name by keys of their own have no backend_id; only stoker volume, whose mirror backend fails over by it, needs one.",
			allowed: "key:value pairs separated by commas, each key once; no two devices of a backend with one backend_id, and none with " +
				cinder.FailbackTarget,
			redact: func(string) string { return "***" },
			set: func(b *Backend, s string) bool {
				if strings.TrimSpace(s) == "" {
					return true // no device, as in Cinder
				}
				d, ok := parseDevice(s)
				b.ReplicationDevices = append(b.ReplicationDevices, d)
				return ok
			},
			show: func(b *Backend) string {
				all := make([]string, len(b.ReplicationDevices))
				for i, d := range b.ReplicationDevices {
					all[i] = d.String()
				}
				return strings.Join(all, "\nreplication_device = ")
			},
			valid: func(b *Backend) bool {
				seen := map[string]bool{cinder.FailbackTarget: true}
				for _, d := range b.ReplicationDevices {
					if d.BackendID != "" && seen[d.BackendID] {
						return false
					}
					seen[d.BackendID] = true
				}
				return true
			},
		},
		text(option[Backend]{
			name: "stoker_mirror_root", ours: true,
			help: "The directory of a mirror backend: it holds one directory for the backend and one for each of its replication devices. Empty: under state_path.",
		}, "a path", func(string) bool { return true }, func(b *Backend) *string { return &b.MirrorRoot }),
	}
}

// hasSection says whether a backend is described at all: by a section of its own
// or by the environment.
func hasSection(s *osloconf.Settings, section string) bool {
	if s.HasGroup(section) {
		return true
	}
	return slices.ContainsFunc(backendOptions(), func(o option[Backend]) bool {
		_, ok := s.Get(section, o.name)
		return ok
	})
}
