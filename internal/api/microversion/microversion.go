package microversion

import (
	"errors"
	"fmt"
	"strings"
)

// Header is the name of the header that carries the version, in requests and
// in answers, and that answers vary by.
const Header = "OpenStack-API-Version"

// service is how the header names the block-storage API among others.
const service = "volume"

// Version is the minor number of a version 3.x that this program speaks.
type Version int

// The versions that change something in what is served here.
const (
	Min                Version = 0
	ClusterSupport     Version = 7  // clusters, and the cluster of a service
	ReplicationCluster Version = 26 // replication of clusters; failover
	LogLevel           Version = 32 // get-log and set-log
	BackendStateReport Version = 49 // backend_state of a volume service
	// FailoverHostCluster is where failover_host takes a cluster as well. Cinder 28
	// does so from 3.26 on; Cinder 21 to 27 never do, and 3.71 is the only version
	// of theirs that services.json does not hold us to.
	FailoverHostCluster Version = 71
	Max                 Version = 71
)

// String is the version as headers and documents spell it: 3.x.
func (v Version) String() string { return fmt.Sprintf("3.%d", int(v)) }

// HeaderValue is the version as an answer's header names it.
func (v Version) HeaderValue() string { return service + " " + v.String() }

// ErrUnnamed is what Parse fails with when a header names no version of the
// block-storage API (services.json, microversion/blank, microversion/compute 2.1).
var ErrUnnamed = errors.New("the header names no version of the volume API")

// FormatError is a version that is none.
type FormatError struct{ Text string }

// Error says what a version looks like.
func (e *FormatError) Error() string {
	return fmt.Sprintf("API Version String %s is of invalid format. Must be of format MajorNum.MinorNum.", e.Text)
}

// RangeError is a version that is well formed and not spoken here.
type RangeError struct {
	Text   string
	Newest Version // of those that are spoken
}

// Error says which versions are spoken.
func (e *RangeError) Error() string {
	return fmt.Sprintf("Version %s is not supported by the API. Minimum is %s and maximum is %s.", e.Text, Min, e.Newest)
}

// HeaderValue is the header of the answer to a version out of range: the
// version asked for (services.json, microversion/volume 3.99).
func (e *RangeError) HeaderValue() string { return service + " " + e.Text }

// Parse reads the values of the version header, in order; none at all mean the
// oldest version, and no version after newest is spoken. The first of the comma-separated parts that speaks of volume
// counts (services.json, microversion/volume 3.0,volume 3.7). It fails with
// ErrUnnamed, *FormatError or *RangeError.
func Parse(values []string, newest Version) (Version, error) {
	if len(values) == 0 {
		return Min, nil
	}
	for _, value := range values {
		for part := range strings.SplitSeq(value, ",") {
			if strings.Contains(part, service) {
				return parsePart(part, newest)
			}
		}
	}
	return 0, ErrUnnamed
}

// parsePart reads "volume 3.x". Whatever stands in the place of the service's
// name does not matter as long as it contains it, as in Cinder.
func parsePart(part string, newest Version) (Version, error) {
	words := strings.Fields(part)
	if len(words) != 2 {
		return 0, &FormatError{Text: strings.TrimSpace(part)}
	}
	text := words[1]
	if text == "latest" {
		return newest, nil
	}
	major, minor, ok := strings.Cut(text, ".")
	if !ok || major == "0" || !number(major) || !number(minor) {
		return 0, &FormatError{Text: text}
	}
	// A number of more digits than these is out of range whatever it is.
	if major != "3" || len(minor) > len("99") {
		return 0, &RangeError{Text: text, Newest: newest}
	}
	v := Version(0)
	for _, d := range []byte(minor) {
		v = v*10 + Version(d-'0')
	}
	if v > newest {
		return 0, &RangeError{Text: text, Newest: newest}
	}
	return v, nil
}

// number says whether s is a decimal number without a leading zero.
func number(s string) bool {
	if s == "" || s[0] == '0' && len(s) > 1 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
