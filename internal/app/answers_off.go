//go:build !answers

package app

import "net/http"

// wrap leaves the API as it is.
func wrap(api http.Handler) (http.Handler, error) { return api, nil }
