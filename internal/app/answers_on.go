//go:build answers

package app

import (
	"fmt"
	"net/http"
	"os"

	"stoker/internal/api/contract"
)

// answersDir is where a file is left for each answer that openapi.yaml does not
// allow: whoever builds the program for tests says where (-X).
var answersDir string //nolint:gochecknoglobals // the linker writes it

// wrap has every answer of the API checked.
func wrap(api http.Handler) (http.Handler, error) {
	c, err := contract.New()
	if err != nil {
		return nil, err
	}
	return c.Handler(api, func(broken error) {
		f, err := os.CreateTemp(answersDir, "answer-")
		if err != nil {
			panic(fmt.Errorf("%w: %w", broken, err)) // never unseen
		}
		defer func() { _ = f.Close() }()
		if _, err := fmt.Fprintln(f, broken); err != nil {
			panic(fmt.Errorf("%w: %w", broken, err))
		}
	}), nil
}
