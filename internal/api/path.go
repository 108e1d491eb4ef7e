package api

import (
	"regexp"
	"strings"
)

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

// locator knows what a path may begin with behind /v3.
type locator struct {
	project   *regexp.Regexp  // a whole project id
	resources map[string]bool // what the paths of routes begin with: never a project
}

// defaultProject is what Cinder takes for a project id when nothing else is said.
const defaultProject = `[0-9a-f\-]+`

// newLocator makes the locator of the routes. A project id is what regex matches
// from its first to its last character.
func newLocator(regex string, table []route) (locator, error) {
	project, err := regexp.Compile(`\A(?:` + regex + `)\z`)
	l := locator{project: project, resources: map[string]bool{}}
	for _, rt := range table {
		if rest, ok := strings.CutPrefix(rt.pattern, root+"/"); ok {
			first, _, _ := strings.Cut(rest, "/")
			l.resources[first] = true
		}
	}
	return l, err
}

// isProject says whether a segment is taken for a project id, whose it may be.
func (at locator) isProject(segment string) bool {
	return segment != "" && !at.resources[strings.TrimSuffix(segment, ".json")] && at.project.MatchString(segment)
}

// locate reads a decoded path as Cinder does: slashes in a row are one, a project
// that looks like one is taken out, and .json at the end says nothing
// (services.json, path/*). ok is false when the path leads nowhere: nothing is
// ever redirected, so dots do not climb.
func (at locator) locate(path string) (l location, ok bool) {
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
	if at.isProject(first) {
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
