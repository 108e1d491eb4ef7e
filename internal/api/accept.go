package api

import (
	"strconv"
	"strings"
)

// mediaType is what an answer in JSON is called: application/json, unless the
// client prefers the other name (services.json, accept/*). Faults have one name.
func (rq *request) mediaType(status int) string {
	accept := rq.http.Header.Get("Accept")
	if accept == "" || accept == "*/*" || accept == mediaJSON || rq.suffix || status >= 400 {
		return mediaJSON
	}
	if preference(accept, mediaVendor) > preference(accept, mediaJSON) {
		return mediaVendor
	}
	return mediaJSON
}

// preference is how much a client that sends that Accept header likes a media
// type, from 0 to 1: the range that names it most closely says so.
func preference(accept, media string) float64 {
	class, _, _ := strings.Cut(media, "/")
	liked, closest := 0.0, 0
	for part := range strings.SplitSeq(strings.ToLower(accept), ",") {
		name, parameters, _ := strings.Cut(part, ";")
		closeness := 0
		switch strings.TrimSpace(name) {
		case media:
			closeness = 3
		case class + "/*":
			closeness = 2
		case "*/*":
			closeness = 1
		}
		if q, ok := quality(parameters); ok && closeness > closest {
			liked, closest = q, closeness
		}
	}
	return liked
}

// quality is the q among the parameters of a range, 1 without one. A range with
// parameters of its own names something else, and ok is false.
func quality(parameters string) (q float64, ok bool) {
	if strings.TrimSpace(parameters) == "" {
		return 1, true
	}
	first, _, _ := strings.Cut(parameters, ";")
	value, isQ := strings.CutPrefix(strings.TrimSpace(first), "q=")
	if !isQ {
		return 0, false
	}
	q, err := strconv.ParseFloat(value, 64)
	return q, err == nil && q >= 0 && q <= 1
}
