package cinder

import (
	"strconv"
	"strings"
)

// OldestRPC is the oldest version that any of the services speaks, for whoever
// sends something that each of them may get. "" is a service that does not say,
// which is older than all.
func OldestRPC(services []Service) string {
	oldest := ""
	for i := range services {
		if v := services[i].RPCVersion; i == 0 || olderRPC(v, oldest) {
			oldest = v
		}
	}
	return oldest
}

// olderRPC says whether version a, "3.9", comes before b, "3.12".
func olderRPC(a, b string) bool {
	aMajor, aMinor := rpcVersion(a)
	bMajor, bMinor := rpcVersion(b)
	return aMajor < bMajor || aMajor == bMajor && aMinor < bMinor
}

// rpcVersion reads a version; what is none reads as 0.0.
func rpcVersion(s string) (major, minor uint64) {
	before, after, _ := strings.Cut(s, ".")
	major, err := strconv.ParseUint(before, 10, 32)
	if err != nil {
		return 0, 0
	}
	if minor, err = strconv.ParseUint(after, 10, 32); err != nil {
		return 0, 0
	}
	return major, minor
}
