package api

import (
	"fmt"
	"net/http"
	"slices"

	"stoker/internal/cinder"
)

func destinationFilters() []string { return []string{"host", "cluster"} }

func destinationRoutes() []route {
	return []route{{
		method: http.MethodGet, pattern: ownRoot + "/failover-targets", own: true, policy: ruleServicesList, serve: (*Server).listDestinations,
		summary: "List where volume services can be failed over to", ok: http.StatusOK, shows: "FailoverTargets", filters: destinationFilters(),
	}}
}

// destinationView is where one volume service can be failed over to, as answers show it.
type destinationView struct {
	Host              string   `json:"host"`
	Cluster           *string  `json:"cluster"`
	ReplicationStatus string   `json:"replication_status"`
	ActiveBackendID   *string  `json:"active_backend_id"`
	Targets           []string `json:"targets"`
	Complete          bool     `json:"complete"`
}

func (s *Server) listDestinations(rq *request) (*answer, error) {
	q, err := parseQuery(rq.http.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	for _, key := range q.keys {
		if !slices.Contains(destinationFilters(), key) {
			return nil, invalidInput(fmt.Sprintf("there is no filter %q", key))
		}
	}
	all, err := s.o.Control.Destinations(rq.ctx, cinder.ServiceQuery{Host: q.name("host"), Cluster: q.name("cluster")})
	if err != nil {
		return nil, err
	}
	views := make([]destinationView, len(all))
	for i, d := range all {
		views[i] = destinationView{
			Host: d.Service.Host, Cluster: nonEmpty(d.Service.Cluster),
			ReplicationStatus: string(d.Service.ReplicationStatus), ActiveBackendID: d.Service.ActiveBackendID,
			Targets: append([]string{}, d.Targets.Names...), Complete: d.Targets.Complete,
		}
	}
	return encoded(map[string]any{"failover_targets": views})
}
