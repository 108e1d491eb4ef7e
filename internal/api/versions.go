package api

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"stoker/internal/api/microversion"
)

// openAPIText is the document made from the routes; a test keeps it true.
//
//go:embed openapi.yaml
var openAPIText []byte

// OpenAPI is the OpenAPI document of the API, in YAML.
func OpenAPI() []byte { return slices.Clone(openAPIText) }

type versionList struct {
	Versions []versionInfo `json:"versions"`
}

type versionInfo struct {
	ID         string      `json:"id"`
	Status     string      `json:"status"`
	Version    string      `json:"version"`
	MinVersion string      `json:"min_version"`
	Updated    string      `json:"updated"`
	Links      []link      `json:"links"`
	MediaTypes []mediaType `json:"media-types"`
}

type link struct {
	Rel  string `json:"rel"`
	Type string `json:"type,omitempty"`
	Href string `json:"href"`
}

type mediaType struct {
	Base string `json:"base"`
	Type string `json:"type"`
}

// versions tells who comes without knowing anything where to go
// (services.json, versions//).
func (s *Server) versions(rq *request) (*answer, error) {
	return s.discovery(rq, http.StatusMultipleChoices)
}

func (s *Server) version(rq *request) (*answer, error) { return s.discovery(rq, http.StatusOK) }

func (s *Server) discovery(rq *request, status int) (*answer, error) {
	body, err := json.Marshal(versionList{Versions: []versionInfo{{
		ID: "v3.0", Status: "CURRENT", Version: s.newest().String(), MinVersion: microversion.Min.String(),
		Updated: "2023-08-31T00:00:00Z", // of the newest microversion
		Links: []link{
			{Rel: "describedby", Type: "text/html", Href: "https://docs.openstack.org/"},
			{Rel: "self", Href: s.base(rq) + root + "/"},
		},
		MediaTypes: []mediaType{{Base: "application/json", Type: "application/vnd.openstack.volume+json;version=3"}},
	}}})
	if err != nil {
		return nil, fmt.Errorf("encode the answer: %w", err)
	}
	return &answer{status: status, body: body}, nil
}

// newest is the newest version that is spoken: by this API, and by whoever answers
// what it does not serve. Both are one API to clients, so what one of them does not
// know is not there.
func (s *Server) newest() microversion.Version {
	if s.o.Upstream != nil {
		if minor, ok := s.o.Upstream.Newest(); ok {
			return min(microversion.Max, microversion.Version(minor))
		}
	}
	return microversion.Max
}

// base is what links begin with: the address that is made public or, when there
// is none, that which the request was sent to.
func (s *Server) base(rq *request) string {
	if s.o.PublicURL != "" {
		return s.o.PublicURL
	}
	return rq.origin.base
}

func (s *Server) toRoot(rq *request) (*answer, error) {
	return &answer{status: http.StatusFound, header: http.Header{
		"Location":     {s.base(rq) + root + "/"},
		"Content-Type": {"text/plain; charset=utf8"},
	}}, nil
}

func (s *Server) openAPI(*request) (*answer, error) {
	return &answer{status: http.StatusOK, body: openAPIText, header: http.Header{"Content-Type": {"application/yaml"}}}, nil
}

// extensionInfo is one extension of the API: the parts of it that Cinder once
// loaded one by one, of which clients still ask whether they are there.
type extensionInfo struct {
	Name        string `json:"name"`
	Alias       string `json:"alias"`
	Description string `json:"description"`
	Updated     string `json:"updated"`
	Links       []link `json:"links"`
}

func loadedExtensions() []extensionInfo {
	return []extensionInfo{
		{Name: "Services", Alias: "os-services", Description: "List services and change how they stand.", Updated: "2012-10-28T00:00:00-00:00", Links: []link{}},
		{Name: "ExtendedServices", Alias: "os-extended-services", Description: "Show why a service is disabled.", Updated: "2014-01-10T00:00:00-00:00", Links: []link{}},
	}
}

func (s *Server) extensions(*request) (*answer, error) {
	body, err := json.Marshal(map[string][]extensionInfo{"extensions": loadedExtensions()})
	if err != nil {
		return nil, fmt.Errorf("encode the answer: %w", err)
	}
	return asJSON(body), nil
}

func (s *Server) extension(rq *request) (*answer, error) {
	for _, e := range loadedExtensions() {
		if e.Alias == rq.http.PathValue("alias") {
			body, err := json.Marshal(map[string]extensionInfo{"extension": e})
			if err != nil {
				return nil, fmt.Errorf("encode the answer: %w", err)
			}
			return asJSON(body), nil
		}
	}
	return nil, errNotFound()
}

// checkName refuses what no name can be.
func checkName(name string) error {
	if !utf8.ValidString(name) {
		return invalid(textUndecodable)
	}
	if strings.Contains(name, "\x00") {
		return invalidInput("a name contains U+0000")
	}
	return nil
}
