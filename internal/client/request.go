package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"

	"stoker/internal/cinder"
)

// headerToken is the header for the token.
const headerToken = "X-Auth-Token"

// maxBody bounds an answer: a list of 50,000 services is a third of it.
const maxBody = 64 << 20

// do sends a request and returns the body of the answer, within the client's timeout.
// It fails with the kind for the status, and with KindUnavailable or KindTimeout when
// there was no answer.
func (c *Client) do(ctx context.Context, method string, u *url.URL, v version, body any) ([]byte, Change, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	resp, err := c.send(func() (*http.Request, error) { return c.request(ctx, method, u, v, body) })
	if err != nil {
		return nil, Change{}, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, Change{}, c.unreachable(ctx, err)
	case len(answer) > maxBody:
		return nil, Change{}, cinder.Errorf(cinder.KindRemote, "%s answers with more than %d MiB", c.root.Host, maxBody>>20)
	}
	change := Change{
		Operation: resp.Header.Get("X-Stoker-Operation"), RequestID: resp.Header.Get("X-Openstack-Request-Id"),
		Warning: resp.Header.Get("X-Stoker-Warning"),
	}
	if fine := resp.StatusCode/100 == 2 || v == (version{}) && resp.StatusCode == http.StatusMultipleChoices; !fine {
		return nil, change, fault(resp.StatusCode, answer)
	}
	return answer, change, nil
}

// send sends a request. If the token is refused and can be renewed, it sends the
// request again: the refused one had no effect.
func (c *Client) send(build func() (*http.Request, error)) (*http.Response, error) {
	for retry := c.o.Renew != nil; ; retry = false {
		req, err := build()
		if err != nil {
			return nil, err
		}
		resp, err := c.http.Do(req)
		if err != nil {
			return nil, c.unreachable(req.Context(), err)
		}
		if resp.StatusCode != http.StatusUnauthorized || !retry {
			return resp, nil
		}
		_ = resp.Body.Close() // its content is known
		if err := c.renew(req.Context(), req.Header.Get(headerToken)); err != nil {
			return nil, err
		}
	}
}

// renew replaces a refused token, unless somebody has done so already.
func (c *Client) renew(ctx context.Context, refused string) error {
	c.renewing.Lock()
	defer c.renewing.Unlock()
	if c.token != refused {
		return nil
	}
	token, err := c.o.Renew(ctx)
	if err == nil {
		c.token = token
	}
	return err
}

func (c *Client) currentToken() string {
	c.renewing.Lock()
	defer c.renewing.Unlock()
	return c.token
}

// decode parses an answer. KindRemote when it does not have the expected form.
func (c *Client) decode(answer []byte, out any) error {
	if err := json.Unmarshal(answer, out); err != nil {
		return cinder.Wrap(cinder.KindRemote, err, "what %s answers is not a block-storage API's", c.root.Host)
	}
	return nil
}

func (c *Client) request(ctx context.Context, method string, u *url.URL, v version, body any) (*http.Request, error) {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("request body: %w", err)
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), r)
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.o.UserAgent)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if v != (version{}) {
		req.Header.Set(headerToken, c.currentToken())
		req.Header.Set("OpenStack-API-Version", "volume "+v.String())
	}
	return req, nil
}

// unreachable converts the error of a request without a complete answer. After
// cancellation it returns the context's error.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // the rest of its text is the URL
	}
	host := c.root.Host
	n, isNet := errors.AsType[net.Error](err)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("%s: %w", host, context.Canceled)
	case ctx.Err() != nil, isNet && n.Timeout():
		return cinder.Wrap(cinder.KindTimeout, err, "no answer from %s in time", host)
	case errors.Is(err, syscall.ECONNREFUSED):
		return cinder.Wrap(cinder.KindUnavailable, err, "nothing listens on %s", host)
	default:
		return cinder.Wrap(cinder.KindUnavailable, err, "cannot reach %s", host)
	}
}
