package api

import (
	"slices"
	"strings"

	"stoker/internal/api/microversion"
	"stoker/internal/api/schema"
	"stoker/internal/cinder"
)

func (rq *request) showsReplication() bool { return rq.version >= microversion.ReplicationCluster }

func (s *Server) listClusters(rq *request) (*answer, error) {
	return s.clusters(rq, clusterView{replication: rq.showsReplication()})
}

func (s *Server) listClustersInDetail(rq *request) (*answer, error) {
	return s.clusters(rq, clusterView{detail: true, replication: rq.showsReplication()})
}

func (s *Server) clusters(rq *request, v clusterView) (*answer, error) {
	q, err := rq.clusterQuery()
	if err != nil {
		return nil, err
	}
	clusters, err := s.o.Control.Clusters(rq.ctx, q)
	if err != nil {
		return nil, err
	}
	b := []byte(`{"clusters": [`)
	for i := range clusters {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = appendCluster(b, &clusters[i], v)
	}
	return asJSON(append(b, "]}"...)), nil
}

// clusterQuery reads the filter of a list: unknown keys first, then the values
// in the order in which they stand (services.json, clusters/list?zap=1@3.26).
func (rq *request) clusterQuery() (cinder.ClusterQuery, error) {
	var filter cinder.ClusterQuery
	q, err := parseQuery(rq.http.URL.RawQuery)
	if err != nil {
		return filter, err
	}
	allowed := []string{"name", "binary", "is_up", "disabled", "num_hosts", "num_down_hosts"}
	if rq.showsReplication() {
		allowed = append(allowed, "replication_status", "frozen", "active_backend_id")
	}
	var unknown []string
	for _, key := range q.keys {
		if !slices.Contains(allowed, key) {
			unknown = append(unknown, key)
		}
	}
	if unknown != nil {
		slices.Sort(unknown)
		return filter, invalidInput("Invalid filter keys: " + strings.Join(unknown, ", "))
	}
	filter.Name, filter.Binary = q.name("name"), q.text("binary")
	filter.ReplicationStatus, filter.ActiveBackendID = q.text("replication_status"), q.text("active_backend_id")
	for _, key := range q.keys {
		switch key {
		case "is_up":
			filter.Up, err = q.flag(key)
		case "disabled":
			filter.Disabled, err = q.flag(key)
		case "frozen":
			filter.Frozen, err = q.flag(key)
		case "num_hosts":
			filter.Hosts, err = q.count(key)
		case "num_down_hosts":
			filter.DownHosts, err = q.count(key)
		}
		if err != nil {
			return filter, err
		}
	}
	return filter, nil
}

// showCluster shows a cluster of volume services: there are no others that a
// path could name (services.json, clusters/show-binary@3.26).
func (s *Server) showCluster(rq *request) (*answer, error) {
	name := rq.http.PathValue("name")
	if err := checkName(name); err != nil {
		return nil, err
	}
	c, err := s.o.Control.Cluster(rq.ctx, name, cinder.BinaryVolume)
	if err != nil {
		return nil, err
	}
	return oneCluster(&c, clusterView{detail: true, replication: rq.showsReplication()}), nil
}

func oneCluster(c *cinder.Cluster, v clusterView) *answer {
	return asJSON(append(appendCluster([]byte(`{"cluster": `), c, v), '}'))
}

func (s *Server) enableCluster(rq *request) (*answer, error) {
	c, op, err := s.o.Control.EnableCluster(rq.ctx, rq.text("name"), rq.clusterBinary())
	return s.changedCluster(rq, c, op, nil, err)
}

func (s *Server) disableCluster(rq *request) (*answer, error) {
	reason := rq.textOrNil("disabled_reason")
	if reason != nil {
		trimmed := schema.Trim(*reason)
		reason = &trimmed
	}
	c, op, err := s.o.Control.DisableCluster(rq.ctx, rq.text("name"), rq.clusterBinary(), reason)
	return s.changedCluster(rq, c, op, reason, err)
}

// clusterBinary is the binary that a body names. Without one it is that of the
// volume services, the only ones that form clusters.
func (rq *request) clusterBinary() string {
	if b := rq.textOrNil("binary"); b != nil {
		return *b
	}
	return cinder.BinaryVolume
}

// changedCluster shows a cluster as the change left it, with the reason that was
// given even where another cause has a later one.
func (s *Server) changedCluster(rq *request, c cinder.Cluster, op cinder.Operation, reason *string, err error) (*answer, error) {
	rq.began(op)
	if err != nil {
		return nil, err
	}
	c.DisabledReason = reason
	return oneCluster(&c, clusterView{replication: rq.showsReplication(), reason: true}), nil
}

func (s *Server) unknownClusterAction(*request) (*answer, error) {
	return nil, cinder.Errorf(cinder.KindNotFound, textUnknownAction)
}
