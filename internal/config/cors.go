package config

import (
	"strings"
	"time"
)

// CORS is [cors], or a section [cors.NAME]: which web pages may call the API.
type CORS struct {
	Section       string   // "" is [cors]
	Origins       []string // allowed_origin; none: no page of another origin may
	Credentials   bool
	ExposeHeaders []string
	MaxAge        time.Duration
	Methods       []string
	Headers       []string
}

const groupCORS = "cors"

// isCORS says whether a section is for origins of its own. Others that it does not
// set are as in [cors], as oslo.middleware has it.
func isCORS(section string) bool { return strings.HasPrefix(section, groupCORS+".") }

func corsOptions() []option[Config] {
	at := func(name, def, help string) option[Config] {
		return option[Config]{group: groupCORS, name: name, def: def, help: help, api: true}
	}
	return []option[Config]{
		anything(at("allowed_origin", "", "The origins of web pages that may call the API, or *. Empty: none. "+
			"A section [cors.NAME] has origins of its own, for which the options in it count; those that it does not set are as here. "+
			"Of two sections that name an origin this one counts, or else the first by name."), func(c *Config) *[]string { return &c.Edge.CORS.Origins }),
		boolean(at("allow_credentials", "true", "Whether they may send cookies and the like."), func(c *Config) *bool { return &c.Edge.CORS.Credentials }),
		anything(at("expose_headers", "X-Auth-Token,X-Subject-Token,X-Service-Token,X-OpenStack-Request-ID,OpenStack-API-Version", "Which headers of an answer they may read."),
			func(c *Config) *[]string { return &c.Edge.CORS.ExposeHeaders }),
		period(at("max_age", "3600", "How long a browser may remember all this."), func(c *Config) *time.Duration { return &c.Edge.CORS.MaxAge }),
		anything(at("allow_methods", "GET,PUT,POST,DELETE,PATCH,HEAD", "Which methods they may use."), func(c *Config) *[]string { return &c.Edge.CORS.Methods }),
		anything(at("allow_headers", "X-Auth-Token,X-Identity-Status,X-Roles,X-Service-Catalog,X-User-Id,X-Tenant-Id,X-OpenStack-Request-ID,X-Trace-Info,X-Trace-HMAC,OpenStack-API-Version",
			"Which headers they may send."), func(c *Config) *[]string { return &c.Edge.CORS.Headers }),
	}
}

// readCORS reads the sections [cors.NAME].
func (r *reader) readCORS() {
	for _, section := range r.c.settings.Groups() {
		if !isCORS(section) {
			continue
		}
		own := *r.c
		own.Edge.CORS.Section, own.Edge.CORS.Origins = section, nil
		for _, o := range corsOptions() {
			if o.blank {
				r.c.settings.FillBlank(section, o.name, o.show(r.c))
			}
			if len(written(r.c.settings, o, section)) > 0 {
				readOption(r, o, &own, section)
			}
		}
		r.c.Edge.MoreCORS = append(r.c.Edge.MoreCORS, own.Edge.CORS)
	}
}

// with is c with what one section [cors.NAME] says in the place of [cors].
func (c Config) with(section CORS) Config {
	c.Edge.CORS = section
	return c
}
