package client

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"stoker/internal/cinder"
)

// maxMinor is the newest microversion that this package supports.
const maxMinor = 71

// version is a microversion, 3.minor; zero for none.
type version struct{ major, minor int }

// String formats the version for the header.
func (v version) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

// version negotiates the newest microversion that both sides know. It asks the server
// once; after an error, again.
func (c *Client) version(ctx context.Context) (version, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.agreed != (version{}) {
		return c.agreed, nil
	}
	var answer struct {
		Versions []struct{ ID, Version string }
	}
	body, _, err := c.do(ctx, http.MethodGet, c.root, version{}, nil)
	if err == nil {
		err = c.decode(body, &answer)
	}
	if err != nil {
		return version{}, err
	}
	for _, v := range answer.Versions {
		var server version
		if !strings.HasPrefix(v.ID, "v3.") {
			continue
		}
		if _, err := fmt.Sscanf(v.Version+"\n", "%d.%d\n", &server.major, &server.minor); err != nil || server.major != 3 || server.minor < 0 {
			continue
		}
		c.agreed = version{3, min(server.minor, maxMinor)}
		return c.agreed, nil
	}
	return version{}, cinder.Errorf(cinder.KindNotSupported, "%s lists no version 3 of the block-storage API", c.root.Host)
}
