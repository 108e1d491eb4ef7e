package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"stoker/internal/cinder"
)

// Operation is an entry of Stoker's journal. Cinder has none.
type Operation struct {
	ID      string          `json:"id"`
	Kind    string          `json:"kind"`
	State   string          `json:"state"` // open, watched, done, undone or failed
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
	Fault      *string `json:"fault"`

	Before json.RawMessage `json:"before"`
	After  json.RawMessage `json:"after"`
}

// OperationCaller is who asked for it.
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
	Limit                                      int    // 0 is a page of the server's choice
}

// Operations lists the operations that f selects, the newest first.
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
		// A page may have fewer than asked for, or none, and still not be the last.
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

// maxPage is the most that the server gives at once.
const maxPage = 1000

// Operation shows one operation. KindNotFound.
func (c *Client) Operation(ctx context.Context, id string) (Operation, error) {
	return c.operation(ctx, http.MethodGet, id, "")
}

// AbortOperation ends an operation that does not end by itself, and returns it as
// it is then. KindConflict, with the reason, when that cannot be done; KindNotFound.
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

// own asks for what Stoker has and Cinder has not.
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
