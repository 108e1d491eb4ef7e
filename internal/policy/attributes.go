package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"stoker/internal/cinder"
)

// attributes are the attributes of a caller or a target that checks refer to. A value
// is nil, a bool, a string, a json.Number, a []string, an []any, a map[string]any, or
// an error when it could not be determined.
type attributes interface {
	attribute(name string) (value any, ok bool)
}

// object holds attributes by name.
type object map[string]any

func (o object) attribute(name string) (any, bool) { v, ok := o[name]; return v, ok }

// callerAttributes are the attributes of Cinder's request context (to_policy_values).
type callerAttributes struct {
	caller *cinder.Caller
	roles  []string
	admin  any // is_admin: nil while it is being determined
}

func (a *callerAttributes) attribute(name string) (any, bool) {
	c := a.caller
	switch name {
	case "user_id":
		return orNone(c.UserID), true
	case "user_domain_id":
		return orNone(c.UserDomainID), true
	case "system_scope":
		return orNone(c.SystemScope), true
	case "system":
		return c.SystemScope, c.SystemScope != ""
	case "domain_id":
		return orNone(c.DomainID), true
	case "project_id":
		return orNone(c.ProjectID), true
	case "project_domain_id":
		return orNone(c.ProjectDomainID), true
	case "roles":
		return a.roles, true
	case "is_admin":
		return a.admin, true
	case "is_admin_project":
		return c.IsAdminProject, true
	case "service_user_id":
		return orNone(c.Service.UserID), true
	case "service_user_domain_id":
		return orNone(c.Service.UserDomainID), true
	case "service_project_id":
		return orNone(c.Service.ProjectID), true
	case "service_project_domain_id":
		return orNone(c.Service.ProjectDomainID), true
	case "service_roles":
		return c.Service.Roles, true
	}
	return nil, false
}

// callerNames lists a caller's attributes, in Cinder's order.
func callerNames() []string {
	return []string{
		"user_id", "user_domain_id", "system_scope", "domain_id", "project_id", "project_domain_id", "roles",
		"is_admin_project", "service_user_id", "service_user_domain_id", "service_project_id",
		"service_project_domain_id", "service_roles", "is_admin", "system",
	}
}

// asObject returns a caller's attributes as an http: check sends them.
func (a *callerAttributes) asObject() object {
	o := object{}
	for _, name := range callerNames() {
		if v, ok := a.attribute(name); ok {
			o[name] = v
		}
	}
	return o
}

// orNone is an id; for "", Python's None.
func orNone(id string) any {
	if id == "" {
		return nil
	}
	return id
}

// target is what Cinder authorizes against when there is no object: the caller's own
// project and user.
type target struct{ caller *cinder.Caller }

func (t target) attribute(name string) (any, bool) {
	switch name {
	case "project_id":
		return orNone(t.caller.ProjectID), true
	case "user_id":
		return orNone(t.caller.UserID), true
	}
	return nil, false
}

func (t target) asObject() object {
	return object{"project_id": orNone(t.caller.ProjectID), "user_id": orNone(t.caller.UserID)}
}

// textOf formats a value like Python's str().
func textOf(value any) string {
	if s, ok := value.(string); ok {
		return s
	}
	return quoted(value)
}

// quoted formats a value like Python's repr().
func quoted(value any) string {
	switch v := value.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case string:
		return quotedText(v)
	case json.Number:
		return v.String()
	case []string:
		return listText(v, quotedText)
	case []any:
		return listText(v, quoted)
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		for i, name := range names {
			names[i] = quotedText(name) + ": " + quoted(v[name])
		}
		return "{" + strings.Join(names, ", ") + "}"
	}
	return fmt.Sprint(value)
}

func listText[T any](items []T, text func(T) string) string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = text(item)
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

func quotedText(s string) string {
	quote := '\''
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	var b strings.Builder
	b.WriteRune(quote)
	for _, r := range s {
		switch {
		case r == quote || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == ' ' || unicode.IsGraphic(r) && !unicode.IsSpace(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	b.WriteRune(quote)
	return b.String()
}
