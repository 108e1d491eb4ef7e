package rpc

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"stoker/internal/cinder"
)

// wirePools returns the pools that match all filters, on the name or on capabilities.
// The API passes all values as strings. KindInvalid for a volume type: types are not
// known here.
func wirePools(pools []Pool, filters map[string]any) ([]pool, error) {
	if filters["volume_type"] != nil {
		return nil, cinder.Errorf(cinder.KindInvalid, "Invalid input received: this scheduler does not filter pools by volume type.")
	}
	found := []pool{}
	for _, p := range pools {
		matches := true
		for key, want := range filters {
			got := p.Values[key]
			if key == "name" {
				got = p.Name
			}
			matches = matches && (key == "volume_type" || same(got, want))
		}
		if matches {
			found = append(found, pool{Name: p.Name, Capabilities: p.Values})
		}
	}
	return found, nil
}

// same reports whether a capability matches a filter.
func same(got, want any) bool {
	text, isText := want.(string)
	if !isText || got == nil {
		return reflect.DeepEqual(got, want)
	}
	switch got := got.(type) {
	case string:
		return got == text
	case bool:
		return got == truth(text)
	case float64:
		n, err := strconv.ParseFloat(text, 64)
		return err == nil && n == got
	default:
		return fmt.Sprint(got) == text
	}
}

// truth parses a boolean like oslo.utils: anything unknown is false.
func truth(text string) bool {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "1", "t", "true", "on", "y", "yes":
		return true
	default:
		return false
	}
}
