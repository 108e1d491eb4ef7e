package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"stoker/internal/cinder"
)

// ownRoot is where the part of the API begins that Cinder has not. It needs a
// token as the rest does, and knows neither microversions nor projects in paths.
const ownRoot = "/stoker/v1"

// The policy rules of our own routes.
const (
	ruleOperationsRead  = "stoker:operations:index"
	ruleOperationsAbort = "stoker:operations:abort"
)

// How many operations a page has.
const (
	pageDefault = 50
	pageMax     = 1000
)

func operationFilters() []string {
	return []string{"host", "cluster", "binary", "kind", "state", "user_id", "since", "before", "limit", "marker"}
}

func operationRoutes() []route {
	return []route{
		{
			method: http.MethodGet, pattern: ownRoot + "/operations", own: true, policy: ruleOperationsRead, serve: (*Server).listOperations,
			summary: "List the operations of the journal, the newest first", ok: http.StatusOK, shows: "Operations", filters: operationFilters(),
		},
		{
			method: http.MethodGet, pattern: ownRoot + "/operations/{id}", own: true, policy: ruleOperationsRead, serve: (*Server).showOperation,
			summary: "Show an operation", ok: http.StatusOK, shows: "Operation",
		},
		{
			method: http.MethodPost, pattern: ownRoot + "/operations/{id}/abort", own: true, policy: ruleOperationsAbort, serve: (*Server).abortOperation,
			summary: "Abort a failover that nobody is left to carry out, or stop watching an operation", ok: http.StatusOK, shows: "Operation",
		},
	}
}

// operationView is an operation as answers show it.
type operationView struct {
	ID      string     `json:"id"`
	Kind    string     `json:"kind"`
	State   string     `json:"state"`
	Outcome string     `json:"outcome"`
	Warning *string    `json:"warning"`
	Overdue bool       `json:"overdue"`
	Stuck   bool       `json:"stuck"`
	Binary  string     `json:"binary"`
	Host    *string    `json:"host"`
	Cluster *string    `json:"cluster"`
	Detail  string     `json:"detail"`
	Caller  callerView `json:"caller"`

	Before cinder.Rows `json:"before"`
	After  cinder.Rows `json:"after"`

	StartedAt  *timeView `json:"started_at"`
	Deadline   *timeView `json:"deadline"`
	SettledAt  *timeView `json:"settled_at"`
	Owner      string    `json:"owner"`
	LeaseUntil *timeView `json:"lease_until"`
	WatchUntil *timeView `json:"watch_until"`
	NextLook   *timeView `json:"next_look_at"`
	Attempts   int       `json:"attempts"`
	LastError  *string   `json:"last_error"`
	LateBy     []string  `json:"carried_out_late_by"`
}

type callerView struct {
	UserID          string   `json:"user_id"`
	ProjectID       string   `json:"project_id"`
	Roles           []string `json:"roles"`
	RequestID       string   `json:"request_id"`
	GlobalRequestID *string  `json:"global_request_id"`
	Address         string   `json:"address"`
}

// timeView is a time in the API's form; nil is the zero time.
type timeView time.Time

// MarshalJSON writes the time.
func (t timeView) MarshalJSON() ([]byte, error) { return appendTime(nil, time.Time(t)), nil }

func viewTime(t time.Time) *timeView {
	if t.IsZero() {
		return nil
	}
	v := timeView(t)
	return &v
}

func nonEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// array is the texts, which are an array of none when they are nil: never null.
func array(texts []string) []string { return append([]string{}, texts...) }

func viewOperation(op *cinder.Operation, now time.Time) operationView {
	v := operationView{
		ID: op.ID, Kind: string(op.Kind), State: string(op.State), Outcome: op.Outcome, Warning: nonEmpty(op.Progress.Warning),
		Overdue: op.Overdue(now), Stuck: op.Stuck(),
		Binary: op.Binary, Host: nonEmpty(op.Host), Cluster: nonEmpty(op.Cluster), Detail: op.Detail,
		Caller: callerView{
			UserID: op.Caller.UserID, ProjectID: op.Caller.ProjectID, Roles: array(op.Caller.Roles),
			RequestID: op.Caller.RequestID, GlobalRequestID: nonEmpty(op.Caller.GlobalRequestID), Address: op.Caller.Address,
		},
		Before: op.Before, After: op.After,
		StartedAt: viewTime(op.StartedAt), Deadline: viewTime(op.Deadline), SettledAt: viewTime(op.SettledAt),
		Owner: op.Owner, LateBy: array(op.Progress.Late),
		Attempts: op.Progress.Attempts, LastError: nonEmpty(op.Progress.LastError),
	}
	if !op.State.Final() {
		v.LeaseUntil, v.WatchUntil, v.NextLook = viewTime(op.LeaseUntil), viewTime(op.Progress.WatchUntil), viewTime(op.Progress.NextLook)
	}
	return v
}

func (s *Server) listOperations(rq *request) (*answer, error) {
	q, err := parseQuery(rq.http.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	selected, err := operationQuery(q)
	if err != nil {
		return nil, err
	}
	page, err := s.o.Control.Operations(rq.ctx, selected)
	if err != nil {
		return nil, err
	}
	list := struct {
		Operations []operationView `json:"operations"`
		Links      []link          `json:"operations_links,omitempty"`
	}{Operations: []operationView{}}
	if page.Next != "" {
		list.Links = []link{{Rel: "next", Href: s.base(rq) + nextPage(rq.path, q, page.Next)}}
	}
	now := time.Now()
	for i := range page.Operations {
		list.Operations = append(list.Operations, viewOperation(&page.Operations[i], now))
	}
	return encoded(list)
}

// nextPage is the path and query of the page behind marker.
func nextPage(path string, q query, marker string) string {
	v := url.Values{"marker": {marker}}
	for _, key := range q.keys {
		if key != "marker" {
			v.Set(key, q.values[key])
		}
	}
	return path + "?" + v.Encode()
}

// operationQuery reads the filters. One that there is not is KindInvalid: a slip
// of the finger must not show what was not asked for.
func operationQuery(q query) (cinder.OperationQuery, error) {
	for _, key := range q.keys {
		if !slices.Contains(operationFilters(), key) {
			return cinder.OperationQuery{}, invalidInput(fmt.Sprintf("there is no filter %q", key))
		}
	}
	selected := cinder.OperationQuery{
		Host: q.name("host"), Cluster: q.name("cluster"), Binary: q.name("binary"), Kind: q.name("kind"), State: q.name("state"),
		UserID: q.name("user_id"), Limit: pageDefault, Marker: q.values["marker"],
	}
	limit, err := q.count("limit")
	if err != nil {
		return selected, err
	}
	if limit != nil {
		if *limit < 1 {
			return selected, invalidInput("limit must be at least 1")
		}
		selected.Limit = min(*limit, pageMax)
	}
	for key, at := range map[string]*time.Time{"since": &selected.Since, "before": &selected.Before} {
		text := q.values[key]
		if text == "" {
			continue
		}
		if *at, err = readTime(text); err != nil {
			return selected, invalidInput(key + " must be a time: YYYY-MM-DDTHH:MM:SS, in UTC or with a zone")
		}
	}
	return selected, nil
}

func readTime(text string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UTC(), nil
	}
	return time.Parse("2006-01-02T15:04:05", text)
}

// operationID is the id in the path. A text that is no name on any database is
// refused on every one.
func (rq *request) operationID() (string, error) {
	id := rq.http.PathValue("id")
	return id, checkName(id)
}

func (s *Server) showOperation(rq *request) (*answer, error) {
	id, err := rq.operationID()
	if err != nil {
		return nil, err
	}
	op, err := s.o.Control.Operation(rq.ctx, id)
	if err != nil {
		return nil, err
	}
	return encoded(map[string]operationView{"operation": viewOperation(&op, time.Now())})
}

func (s *Server) abortOperation(rq *request) (*answer, error) {
	id, err := rq.operationID()
	if err != nil {
		return nil, err
	}
	op, err := s.o.Control.Abort(rq.ctx, id)
	rq.began(op)
	if err != nil {
		return nil, err
	}
	return encoded(map[string]operationView{"operation": viewOperation(&op, time.Now())})
}

// encoded is an answer of our own, in JSON.
func encoded(v any) (*answer, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode the answer: %w", err)
	}
	return asJSON(append(body, '\n')), nil
}
