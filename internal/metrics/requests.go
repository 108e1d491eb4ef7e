package metrics

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// requests are those that the API has answered. Their labels have as many values
// as the table of routes, whatever is asked for.
type requests struct {
	total *prometheus.CounterVec
	took  *prometheus.HistogramVec
}

func newRequests() requests {
	return requests{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stoker_http_requests_total", Help: "Requests that were answered, by route, method and class of status.",
		}, []string{"route", "method", "status"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "stoker_http_request_duration_seconds", Help: "The time from a request's head to its answer, sending not included.",
			// From a list out of memory to a freeze that waits for rpc_response_timeout.
			Buckets: []float64{.001, .005, .025, .1, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"route", "method"}),
	}
}

// Observe implements api.Observer: it counts a request that was answered. The
// route is the pattern of the table; "" when there is none.
func (m *Metrics) Observe(route, method string, status int, took time.Duration) {
	if route == "" {
		route = "unmatched"
	}
	method = known(method)
	m.requests.total.WithLabelValues(route, method, strconv.Itoa(status/100)+"xx").Inc()
	m.requests.took.WithLabelValues(route, method).Observe(took.Seconds())
}

// known is the method, when HTTP has it: clients may send any word.
func known(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	default:
		return "other"
	}
}
