package api

import (
	"time"
	"unicode/utf8"

	"stoker/internal/api/microversion"
	"stoker/internal/cinder"
	"stoker/internal/control"
)

// view is how much of a service an answer shows. Microversions between two
// steps show the same, and so share an answer.
type view int

const (
	viewBasic   view = iota
	viewCluster      // with the cluster
	viewBackend      // and the backend's state
)

func viewOf(v microversion.Version) view {
	switch {
	case v >= microversion.BackendStateReport:
		return viewBackend
	case v >= microversion.ClusterSupport:
		return viewCluster
	default:
		return viewBasic
	}
}

// serviceSize is about how many bytes a service takes in an answer.
const serviceSize = 320

// renderServices writes the answer to a list. It is the one that is asked for
// most and longest, so it is written by hand: reflection takes six times as long.
func renderServices(l control.Listing, v view, states map[string]string) []byte {
	b := make([]byte, 0, len(l.Services)*serviceSize+len(`{"services": []}`))
	b = append(b, `{"services": [`...)
	for i := range l.Services {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = appendService(b, &l.Services[i], l, v, states)
	}
	return append(b, "]}"...)
}

func appendService(b []byte, s *cinder.Service, l control.Listing, v view, states map[string]string) []byte {
	volume := s.Binary == cinder.BinaryVolume
	b = append(b, `{"binary": `...)
	b = appendString(b, s.Binary)
	b = append(b, `, "host": `...)
	b = appendString(b, s.Host)
	b = append(b, `, "zone": `...)
	b = appendNonEmpty(b, s.Zone)
	b = append(b, `, "status": `...)
	b = appendStatus(b, s.Disabled)
	b = append(b, `, "state": `...)
	b = appendState(b, s.Up(l.Now, l.DownTime))
	b = append(b, `, "updated_at": `...)
	b = appendTime(b, lastChange(s, l.Now))
	if v >= viewBackend && volume {
		b = append(b, `, "backend_state": `...)
		b = appendNonEmpty(b, states[s.QueueHost()])
	}
	if v >= viewCluster {
		b = append(b, `, "cluster": `...)
		b = appendNonEmpty(b, s.Cluster)
	}
	b = append(b, `, "disabled_reason": `...)
	b = appendPointer(b, s.DisabledReason)
	if volume {
		b = append(b, `, "replication_status": `...)
		b = appendNonEmpty(b, string(s.ReplicationStatus))
		b = append(b, `, "active_backend_id": `...)
		b = appendPointer(b, s.ActiveBackendID)
		b = append(b, `, "frozen": `...)
		b = appendBool(b, s.Frozen)
	}
	return append(b, '}')
}

// lastChange is what a list calls updated_at: the last heartbeat, or the last
// write of disabled when that is nearer to now (doc/cinder/behaviour.md#lists);
// zero when there was neither.
func lastChange(s *cinder.Service, now time.Time) time.Time {
	if !s.ModifiedAt.IsZero() && now.Sub(s.Heartbeat()).Abs() >= now.Sub(s.ModifiedAt).Abs() {
		return s.ModifiedAt
	}
	return s.UpdatedAt
}

// clusterView is which fields of a cluster an answer shows.
type clusterView struct {
	detail      bool
	replication bool // from microversion 3.26
	reason      bool // in the answer to a change, which is no detail
}

func appendCluster(b []byte, c *cinder.Cluster, v clusterView) []byte {
	b = append(b, `{"name": `...)
	b = appendString(b, c.Name)
	b = append(b, `, "binary": `...)
	b = appendString(b, c.Binary)
	b = append(b, `, "state": `...)
	b = appendState(b, c.Up())
	b = append(b, `, "status": `...)
	b = appendStatus(b, c.Disabled)
	if v.replication {
		b = append(b, `, "replication_status": `...)
		b = appendNonEmpty(b, string(c.ReplicationStatus))
	}
	if v.detail {
		b = append(b, `, "num_hosts": `...)
		b = appendInt(b, c.Hosts)
		b = append(b, `, "num_down_hosts": `...)
		b = appendInt(b, c.DownHosts)
		b = append(b, `, "last_heartbeat": `...)
		b = appendClusterTime(b, c.LastHeartbeat)
		b = append(b, `, "created_at": `...)
		b = appendClusterTime(b, c.CreatedAt)
		b = append(b, `, "updated_at": `...)
		b = appendClusterTime(b, c.UpdatedAt)
	}
	if v.detail || v.reason {
		b = append(b, `, "disabled_reason": `...)
		b = appendPointer(b, c.DisabledReason)
	}
	if v.detail && v.replication {
		b = append(b, `, "frozen": `...)
		b = appendBool(b, c.Frozen)
		b = append(b, `, "active_backend_id": `...)
		b = appendPointer(b, c.ActiveBackendID)
	}
	return append(b, '}')
}

func appendStatus(b []byte, disabled bool) []byte {
	if disabled {
		return append(b, `"disabled"`...)
	}
	return append(b, `"enabled"`...)
}

func appendState(b []byte, up bool) []byte {
	if up {
		return append(b, `"up"`...)
	}
	return append(b, `"down"`...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, "true"...)
	}
	return append(b, "false"...)
}

func appendPointer(b []byte, s *string) []byte {
	if s == nil {
		return append(b, "null"...)
	}
	return appendString(b, *s)
}

// appendNonEmpty writes null for the empty string, which stands for NULL in the
// columns that have no pointer.
func appendNonEmpty(b []byte, s string) []byte {
	if s == "" {
		return append(b, "null"...)
	}
	return appendString(b, s)
}

func appendInt(b []byte, n int) []byte {
	if n >= 10 {
		b = appendInt(b, n/10)
	}
	return append(b, '0'+byte(n%10))
}

// appendTime writes a time in UTC as YYYY-MM-DDTHH:MM:SS.ffffff, without a zone
// (clients fail on one), and null for the zero time.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, "null"...)
	}
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	b = append(b, '"')
	b = appendDigits(b, year, 4)
	b = append(b, '-')
	b = appendDigits(b, int(month), 2)
	b = append(b, '-')
	b = appendDigits(b, day, 2)
	b = append(b, 'T')
	b = appendDigits(b, hour, 2)
	b = append(b, ':')
	b = appendDigits(b, minute, 2)
	b = append(b, ':')
	b = appendDigits(b, second, 2)
	b = append(b, '.')
	b = appendDigits(b, t.Nanosecond()/1000, 6)
	return append(b, '"')
}

// appendClusterTime is the same for a cluster, of which Cinder shows a time that
// is not there as the empty string.
func appendClusterTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, `""`...)
	}
	return appendTime(b, t)
}

// appendDigits writes the last width digits of n.
func appendDigits(b []byte, n, width int) []byte {
	b = append(b, "000000"[:width]...)
	for i := len(b) - 1; n > 0 && width > 0; i, width = i-1, width-1 {
		b[i] = '0' + byte(n%10)
		n /= 10
	}
	return b
}

// appendString writes s as a JSON string. Bytes that are no UTF-8 become U+FFFD.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			b = append(b, s[start:i]...)
			b = appendEscape(b, c)
			i++
			start = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			b = append(b, s[start:i]...)
			b = append(b, "\ufffd"...)
			start = i + n
		}
		i += n
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	default:
		const hex = "0123456789abcdef"
		return append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
	}
}
