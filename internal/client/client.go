package client

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"stoker/internal/cinder"
)

// Options configure a Client.
type Options struct {
	Endpoint  string            // http(s)://host:port/v3, or /v3/PROJECT as in catalogs
	Token     string            // from Keystone; "" means noauth, for Project
	Project   string            // the project in which a noauth caller is admin; "" means admin:admin
	Timeout   time.Duration     // of one request with its answer; 0 means DefaultTimeout
	UserAgent string            // "" means "stoker"
	Transport http.RoundTripper // nil means one of the client's own

	// Renew gets a new token when the server refuses the current one, which may have
	// expired; nil when there is no other.
	Renew func(context.Context) (string, error)
}

// DefaultTimeout is longer than a freeze or thaw of an unresponsive service takes: the
// server gives up first, after its rpc_response_timeout of 60 s.
const DefaultTimeout = 2 * time.Minute

// dialTimeout bounds connecting to a host.
const dialTimeout = 10 * time.Second

// Client calls one endpoint. It is safe for concurrent use.
type Client struct {
	o    Options
	base *url.URL // ends with /v3 or /v3/PROJECT
	root *url.URL // where the versions are listed
	http *http.Client

	mu     sync.Mutex // guards agreed
	agreed version    // zero until negotiated

	renewing sync.Mutex // guards token
	token    string
}

// New returns a Client without connecting. KindInvalid when the endpoint is not the URL
// of a block-storage API.
func New(o Options) (*Client, error) {
	base, root, err := parseEndpoint(o.Endpoint)
	if err != nil {
		return nil, err
	}
	if projectID(o.Project) {
		base = base.JoinPath(o.Project)
	}
	if o.Project == "" {
		o.Project = "admin"
	}
	if o.Token == "" {
		o.Token = "admin:" + o.Project
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.UserAgent == "" {
		o.UserAgent = "stoker"
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
			TLSHandshakeTimeout: dialTimeout,
			IdleConnTimeout:     time.Minute,
			ForceAttemptHTTP2:   true,
		}
	}
	return &Client{o: o, base: base, root: root, token: o.Token, http: &http.Client{
		Transport: o.Transport,
		// Redirects are not followed: the token goes to the endpoint only.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// parseEndpoint parses an endpoint with or without /v3: operators use both.
func parseEndpoint(endpoint string) (base, root *url.URL, err error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, nil, cinder.Errorf(cinder.KindInvalid, "the endpoint %q is not an http:// or https:// URL", endpoint)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, nil, cinder.Errorf(cinder.KindInvalid, "the endpoint of %s takes neither user nor parameters", u.Host)
	}
	path, project := strings.TrimRight(u.Path, "/"), ""
	if at := strings.LastIndex(path, "/v3/"); at >= 0 && projectID(path[at+len("/v3/"):]) {
		path, project = path[:at+len("/v3")], path[at+len("/v3/"):]
	}
	before, ok := strings.CutSuffix(path, "/v3")
	if !ok {
		before = path // without a version
	}
	root = &url.URL{Scheme: u.Scheme, Host: u.Host, Path: before + "/"}
	return root.JoinPath("v3", project), root, nil
}

// projectID reports whether Cinder accepts s as the project in a URL
// (doc/cinder/behaviour.md#tokens); for other projects only URLs without one work.
func projectID(s string) bool {
	ok, _ := regexp.MatchString(`^[0-9a-f-]{1,255}$`, s)
	return ok
}

// Change describes a change that the server has accepted.
type Change struct {
	Operation string // id in Stoker's journal; "" from Cinder
	RequestID string
	Warning   string // why it may not have the intended effect; "" for none
}

// get reads path into out, at the negotiated microversion.
func (c *Client) get(ctx context.Context, path string, query url.Values, out any) error {
	v, err := c.version(ctx)
	if err != nil {
		return err
	}
	u := c.base.JoinPath(path)
	u.RawQuery = query.Encode()
	answer, _, err := c.do(ctx, http.MethodGet, u, v, nil)
	if err != nil {
		return err
	}
	return c.decode(answer, out)
}

// put sends body to path and returns the body of the answer.
func (c *Client) put(ctx context.Context, path string, body any) ([]byte, Change, error) {
	v, err := c.version(ctx)
	if err != nil {
		return nil, Change{}, err
	}
	return c.do(ctx, http.MethodPut, c.base.JoinPath(path), v, body)
}

// change is put without the body of the answer.
func (c *Client) change(ctx context.Context, path string, body any) (Change, error) {
	_, change, err := c.put(ctx, path, body)
	return change, err
}

// needs fails with KindNotSupported when the server is older than a microversion.
func (c *Client) needs(ctx context.Context, minor int, what string) error {
	v, err := c.version(ctx)
	if err != nil {
		return err
	}
	if v.minor < minor {
		return cinder.Errorf(cinder.KindNotSupported, "%s needs microversion 3.%d; the server at %s knows 3.%d", what, minor, c.root.Host, v.minor)
	}
	return nil
}
