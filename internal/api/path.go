package api

import "strings"

// root is where Cinder's API begins.
const root = "/v3"

// location is where a request goes, once its path is in the one form that
// routes are written in.
type location struct {
	path    string // /v3/os-services
	project string // of the URL; "" when it names none
	suffix  bool   // .json stood at its end
}

// versioned says whether the path is one of Cinder's API, where every request needs a token.
func (l location) versioned() bool { return l.path == root || strings.HasPrefix(l.path, root+"/") }

// locate reads a decoded path as Cinder does: slashes in a row are one, a project
// that looks like one is taken out, and .json at the end says nothing
// (services.json, path/*). ok is false when the path leads nowhere: nothing is
// ever redirected, so dots do not climb.
func locate(path string) (l location, ok bool) {
	path = squeeze(path)
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return location{path: path}, false
		}
	}
	l = location{path: path}
	rest, isAPI := strings.CutPrefix(path, root+"/")
	if !isAPI {
		return l, true
	}
	first, rest, found := strings.Cut(rest, "/")
	if isProject(first) {
		if rest == "" {
			return l, false
		}
		l.project, l.path = first, root+"/"+rest
	} else if !found && first == "" {
		return l, true // /v3/ itself
	}
	if strings.HasSuffix(l.path, "/") {
		return l, false
	}
	// A name of nothing but the suffix is a name.
	if short, ok := strings.CutSuffix(l.path, ".json"); ok && !strings.HasSuffix(short, "/") {
		l.path, l.suffix = short, true
	}
	return l, true
}

// squeeze makes one slash of several.
func squeeze(path string) string {
	if !strings.Contains(path, "//") {
		return path
	}
	b := make([]byte, 0, len(path))
	for i := range len(path) {
		if path[i] != '/' || i == 0 || path[i-1] != '/' {
			b = append(b, path[i])
		}
	}
	return string(b)
}

// isProject says whether a segment is taken for a project id, whose it may be.
func isProject(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && c != '-' {
			return false
		}
	}
	return s != ""
}
