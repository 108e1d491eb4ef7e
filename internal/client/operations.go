package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"stoker/internal/cinder"
)

// Operation is an entry in Stoker's journal. Cinder has no journal.
type Operation struct {
	ID      string          `json:"id"`
	Kind    string          `json:"kind"`
	State   string          `json:"state"` // open, monitoring, done, rolled-back or failed
	Outcome string          `json:"outcome"`
	Warning *string         `json:"warning"`
	Overdue bool            `json:"overdue"`
	Stuck   bool            `json:"stuck"`
	Binary  string          `json:"binary"`
	Host    *string         `json:"host"`
	Cluster *string         `json:"cluster"`
	Detail  string          `json:"detail"`
	Caller  OperationCaller `json:"caller"`

	StartedAt *Time `json:"started_at"`
	Deadline  *Time `json:"deadline"`
	SettledAt *Time `json:"settled_at"`

	WatchUntil *Time   `json:"watch_until"`
	Attempts   int     `json:"attempts"`
	LastError  *string `json:"last_error"`

	Before json.RawMessage `json:"before"`
	After  json.RawMessage `json:"after"`
}

// OperationCaller is the sender of the request.
type OperationCaller struct {
	UserID    string   `json:"user_id"`
	ProjectID string   `json:"project_id"`
	Roles     []string `json:"roles"`
	RequestID string   `json:"request_id"`
	Address   string   `json:"address"`
}

// OperationFilter selects operations; "" and 0 do not restrict.
type OperationFilter struct {
	Host, Cluster, Binary, Kind, State, UserID string
	Since, Before                              string // times
	Limit                                      int    // 0 means a page of the server's choice
}

// Operations lists the operations that f selects, newest first.
func (c *Client) Operations(ctx context.Context, f OperationFilter) ([]Operation, error) {
	q := query("host", f.Host, "cluster", f.Cluster, "binary", f.Binary, "kind", f.Kind, "state", f.State, "user_id", f.UserID,
		"since", f.Since, "before", f.Before)
	var ops []Operation
	for {
		if f.Limit > 0 {
			q.Set("limit", strconv.Itoa(min(f.Limit-len(ops), maxPage)))
		}
		var page struct {
			Operations []Operation
			Links      []struct{ Href string } `json:"operations_links"`
		}
		if err := c.own(ctx, http.MethodGet, "operations", q, &page); err != nil {
			return nil, err
		}
		ops = append(ops, page.Operations...)
		// A page may be short, or empty, and still not be the last.
		if f.Limit == 0 && len(ops) > 0 || f.Limit > 0 && len(ops) >= f.Limit || len(page.Links) == 0 {
			return ops, nil
		}
		next, err := url.Parse(page.Links[0].Href)
		if err != nil || next.Query().Get("marker") == "" {
			return nil, cinder.Errorf(cinder.KindInternal, "the link to the next page makes no sense: %q", page.Links[0].Href)
		}
		q.Set("marker", next.Query().Get("marker"))
	}
}

// maxPage is the server's limit for a page.
const maxPage = 1000

// Operation returns one operation. KindNotFound.
func (c *Client) Operation(ctx context.Context, id string) (Operation, error) {
	return c.operation(ctx, http.MethodGet, id, "")
}

// AbortOperation ends an operation that does not end by itself, and returns it in its
// new state. KindConflict, with the reason, when that is not possible; KindNotFound.
func (c *Client) AbortOperation(ctx context.Context, id string) (Operation, error) {
	return c.operation(ctx, http.MethodPost, id, "/abort")
}

func (c *Client) operation(ctx context.Context, method, id, action string) (Operation, error) {
	if id == "" || id == "." || id == ".." {
		return Operation{}, cinder.Errorf(cinder.KindInvalid, "%q cannot be an operation's id", id)
	}
	var answer struct{ Operation Operation }
	err := c.own(ctx, method, "operations/"+url.PathEscape(id)+action, nil, &answer)
	return answer.Operation, err
}

// own calls Stoker's own API, which Cinder lacks.
func (c *Client) own(ctx context.Context, method, path string, q url.Values, out any) error {
	v, err := c.version(ctx)
	if err != nil {
		return err
	}
	u := c.root.JoinPath("stoker/v1", path)
	u.RawQuery = q.Encode()
	answer, _, err := c.do(ctx, method, u, v, nil)
	if err != nil {
		return err
	}
	return c.decode(answer, out)
}
