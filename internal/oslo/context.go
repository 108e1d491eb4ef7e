package oslo

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"

	"stoker/internal/cinder"
)

const contextPrefix = "_context_"

// TimeLayout is the format of times in messages: naive UTC
// (doc/cinder/wire.md#versions).
const TimeLayout = "2006-01-02T15:04:05.000000"

// contextOf encodes a caller as a request context. is_admin and the role admin are
// always set: policy has already authorized the caller, and services refuse others in
// their database layer (doc/cinder/wire.md#context). Tokens are never sent.
func contextOf(c cinder.Caller, now time.Time) map[string]any {
	roles := c.Roles
	if !slices.Contains(roles, "admin") {
		roles = append([]string{"admin"}, roles...)
	}
	id := c.RequestID
	if id == "" {
		id = "req-" + uuid.NewString()
	}
	inner := map[string]any{}
	for key, v := range map[string]any{
		"user": null(c.UserID), "user_id": null(c.UserID),
		"project": null(c.ProjectID), "project_id": null(c.ProjectID), "project_name": nil,
		"domain": nil, "domain_id": nil, "user_domain": nil, "project_domain": nil, "system_scope": nil,
		"is_admin": true, "is_admin_project": true, "roles": roles,
		"read_only": false, "show_deleted": false, "read_deleted": "no",
		"auth_token": nil, "service_catalog": []string{}, "quota_class": nil,
		"request_id": id, "global_request_id": null(c.GlobalRequestID), "resource_uuid": nil,
		"user_identity":  dash(c.UserID) + " " + dash(c.ProjectID) + " - - -",
		"remote_address": null(c.Address), "timestamp": now.UTC().Format(TimeLayout),
		"message_resource_id": nil, "message_resource_type": nil, "message_action": nil,
	} {
		inner[contextPrefix+key] = v
	}
	return inner
}

// callerOf decodes the caller from an inner object. Services authorize nothing by it,
// so missing and malformed fields are left empty.
func callerOf(inner []byte) cinder.Caller {
	var fields map[string]json.RawMessage
	if json.Unmarshal(inner, &fields) != nil {
		return cinder.Caller{}
	}
	get := func(key string, to any) bool {
		raw, ok := fields[contextPrefix+key]
		return ok && json.Unmarshal(raw, to) == nil
	}
	text := func(keys ...string) string {
		for _, key := range keys {
			var s string
			if get(key, &s) && s != "" {
				return s
			}
		}
		return ""
	}
	c := cinder.Caller{
		UserID: text("user_id", "user"), ProjectID: text("project_id", "project"),
		RequestID: text("request_id"), GlobalRequestID: text("global_request_id"),
		Address: text("remote_address"),
	}
	if !get("roles", &c.Roles) {
		c.Roles = nil
	}
	if !get("is_admin", &c.IsAdmin) {
		c.IsAdmin = false
	}
	return c
}

// null is s; JSON null for "".
func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
