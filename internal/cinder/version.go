package cinder

import (
	"strconv"
	"strings"
)

// OldestRPC is the oldest RPC version of the services, for messages that each of them
// may receive. "", a service without a version, is older than any other.
func OldestRPC(services []Service) string {
	oldest := ""
	for i := range services {
		if v := services[i].RPCVersion; i == 0 || olderRPC(v, oldest) {
			oldest = v
		}
	}
	return oldest
}

// olderRPC reports whether version a, "3.9", precedes b, "3.12".
func olderRPC(a, b string) bool {
	aMajor, aMinor := rpcVersion(a)
	bMajor, bMinor := rpcVersion(b)
	return aMajor < bMajor || aMajor == bMajor && aMinor < bMinor
}

// rpcVersion parses a version; an invalid one is 0.0.
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
