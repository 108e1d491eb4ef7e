package cli_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"stoker/internal/cli"
)

const twoServices = `{"services": [
	{"binary": "cinder-backup", "host": "stor1", "zone": "nova", "status": "enabled", "state": "up", "updated_at": "2026-11-23T11:56:57.000000", "cluster": null, "disabled_reason": null},
	{"binary": "cinder-volume", "host": "stör1@alpha", "zone": "nova", "status": "disabled", "state": "down", "updated_at": null, "cluster": "c@alpha",
	 "disabled_reason": "disk\u001b[2J swap: \"no\"\nuntil 日曜", "backend_state": "up", "replication_status": "failed-over", "active_backend_id": "site-b", "frozen": false}]}`

const oneCluster = `{"name": "c@alpha", "binary": "cinder-volume", "state": "up", "status": "enabled", "replication_status": "enabled", "num_hosts": 2,
	"num_down_hosts": 10, "last_heartbeat": "2026-11-23T11:56:57.000000", "created_at": "2026-11-22T11:56:57.000000", "updated_at": null,
	"disabled_reason": null, "frozen": false, "active_backend_id": null}`

const oneOperation = `{"id": "01a2", "kind": "failover", "state": "open", "outcome": "overdue: no outcome by the deadline", "overdue": true, "stuck": false,
	"binary": "cinder-volume", "host": "stor1@alpha", "cluster": null, "detail": "site-b",
	"caller": {"user_id": "ada", "project_id": "p", "roles": ["admin"], "request_id": "req-1", "global_request_id": null, "address": "192.0.2.1"},
	"before": {"services": [{"id": 1}]}, "after": {}, "started_at": "2026-11-23T11:56:57.000000", "deadline": "2026-11-23T12:56:57.000000", "settled_at": null,
	"owner": "api1:x", "lease_until": null, "watch_until": null, "next_look_at": null, "attempts": 0, "last_error": null, "carried_out_late_by": []}`

const shortCluster = `{"cluster": {"name": "c@alpha", "binary": "cinder-volume", "state": "up", "status": "disabled", "replication_status": "enabled", "disabled_reason": "why"}}`

// Every command, with what it asks the API and what it prints: the golden file
// has the latter.
func TestCommands(t *testing.T) {
	for _, tt := range commandLines() {
		t.Run(tt.name, func(t *testing.T) {
			api := &fake{t: t, answers: tt.answers}
			got := run(t, api, cli.Deps{}, tt.args...)
			golden(t, tt.name, "$ stoker "+strings.Join(tt.args, " ")+"\n"+got.String())
			if !slices.Equal(api.asked, strings.Split(tt.asked, "\n")) {
				t.Errorf("asked %q, want %q", api.asked, tt.asked)
			}
		})
	}
}

// commandLine is one command line, the answers of the API and what that is asked.
type commandLine struct {
	name    string // of the golden file
	args    []string
	answers map[string]string
	asked   string
}

func commandLines() []commandLine {
	return []commandLine{
		{"service-list", words("service list"), map[string]string{"GET /v3/os-services": twoServices}, "GET /v3/os-services"},
		{"service-list-long", words("service list --long"), map[string]string{"GET /v3/os-services": twoServices}, "GET /v3/os-services"},
		{"service-list-json", words("service list -o json"), map[string]string{"GET /v3/os-services": twoServices}, "GET /v3/os-services"},
		{"service-list-yaml", words("service list -o yaml"), map[string]string{"GET /v3/os-services": twoServices}, "GET /v3/os-services"},
		{
			"service-list-none", words("service list --host nope --binary cinder-volume"),
			map[string]string{"GET /v3/os-services?binary=cinder-volume&host=nope": `{"services": []}`},
			"GET /v3/os-services?binary=cinder-volume&host=nope",
		},
		{"service-list-none-json", words("service list -o json"), map[string]string{"GET /v3/os-services": `{"services": []}`}, "GET /v3/os-services"},
		{
			"service-enable", words("service enable stor1@alpha"),
			map[string]string{"PUT /v3/os-services/enable": `{"status": "enabled"}`},
			`PUT /v3/os-services/enable {"binary":"cinder-volume","host":"stor1@alpha"}`,
		},
		{
			"service-disable", words("service disable stor1 cinder-backup -o json"),
			map[string]string{"PUT /v3/os-services/disable": `{}`},
			`PUT /v3/os-services/disable {"binary":"cinder-backup","host":"stor1"}`,
		},
		{
			"service-disable-reason",
			[]string{"service", "disable", "stor1@alpha", "--reason", "disk swap"},
			map[string]string{"PUT /v3/os-services/disable-log-reason": `{}`},
			`PUT /v3/os-services/disable-log-reason {"binary":"cinder-volume","disabled_reason":"disk swap","host":"stor1@alpha"}`,
		},
		{"service-freeze", words("service freeze stor1@alpha"), map[string]string{"PUT /v3/os-services/freeze": ""}, `PUT /v3/os-services/freeze {"host":"stor1@alpha"}`},
		{"service-freeze-cluster", words("service freeze --cluster c@alpha"), map[string]string{"PUT /v3/os-services/freeze": ""}, `PUT /v3/os-services/freeze {"cluster":"c@alpha"}`},
		{"service-thaw", words("service thaw stor1@alpha -o yaml"), map[string]string{"PUT /v3/os-services/thaw": ""}, `PUT /v3/os-services/thaw {"host":"stor1@alpha"}`},
		{
			"service-thaw-refused", words("service thaw stor1@alpha"),
			map[string]string{"PUT /v3/os-services/thaw": fault(409, "conflictingRequest", "The array says:\n\tnot \x1b[31mnow")},
			`PUT /v3/os-services/thaw {"host":"stor1@alpha"}`,
		},
		{
			"service-failover", words("service failover stor1@alpha --backend-id site-b"),
			map[string]string{"PUT /v3/os-services/failover_host": "202", "GET " + targetsOfAlpha: destinations("site-b", true)},
			"GET " + targetsOfAlpha + "\n" + `PUT /v3/os-services/failover_host {"backend_id":"site-b","host":"stor1@alpha"}`,
		},
		{
			"service-failover-of-a-cinder", words("service failover stor1@alpha --backend-id site-b"),
			map[string]string{"PUT /v3/os-services/failover_host": "202", "GET " + targetsOfAlpha: fault(404, "itemNotFound", "The resource could not be found.")},
			"GET " + targetsOfAlpha + "\n" + `PUT /v3/os-services/failover_host {"backend_id":"site-b","host":"stor1@alpha"}`,
		},
		{
			"service-failover-unannounced", words("service failover stor1@alpha --backend-id backend-7"),
			map[string]string{"GET " + targetsOfAlpha: destinations("000197800123", false)},
			"GET " + targetsOfAlpha,
		},
		{
			"service-failover-yes", words("service failover stor1@alpha --backend-id backend-7 --yes"),
			map[string]string{"PUT /v3/os-services/failover_host": "202"},
			`PUT /v3/os-services/failover_host {"backend_id":"backend-7","host":"stor1@alpha"}`,
		},
		{"service-targets", words("service targets"), map[string]string{"GET /stoker/v1/failover-targets": destinations("site-b", true)}, "GET /stoker/v1/failover-targets"},
		{"service-targets-json", words("service targets stor1@alpha -o json"), map[string]string{"GET " + targetsOfAlpha: destinations("site-b", false)}, "GET " + targetsOfAlpha},
		{
			"service-failover-cluster", words("service failover --cluster c@alpha -o json"),
			map[string]string{"PUT /v3/os-services/failover": "202"},
			`PUT /v3/os-services/failover {"cluster":"c@alpha"}`,
		},
		{"log-get", words("log get --host stor1 --prefix stoker.b"), map[string]string{
			"PUT /v3/os-services/get-log": `{"log_levels": [{"binary": "cinder-volume", "host": "stor1@a", "levels": {"stoker.b.z": "INFO", "stoker.b.a": "DEBUG"}}]}`,
		}, `PUT /v3/os-services/get-log {"prefix":"stoker.b","server":"stor1"}`},
		{"log-get-silent", words("log get -o json"), map[string]string{
			"PUT /v3/os-services/get-log": `{"log_levels": [{"binary": "cinder-volume", "host": "stor1@a", "levels": {"stoker.b": "INFO"}}],
				"unanswered": [{"binary": "cinder-volume", "host": "stor2@a", "reason": "no answer within 5s"}, {"binary": "cinder-backup", "host": "stor2", "reason": "nobody listens"}]}`,
		}, `PUT /v3/os-services/get-log {}`},
		{
			"log-set", words("log set Debug --binary cinder-volume --host stor1@a --prefix stoker.b"),
			map[string]string{"PUT /v3/os-services/set-log": "202"},
			`PUT /v3/os-services/set-log {"binary":"cinder-volume","level":"DEBUG","prefix":"stoker.b","server":"stor1@a"}`,
		},
		{"cluster-list", words("cluster list"), map[string]string{"GET /v3/clusters": `{"clusters": [` + oneCluster + `]}`}, "GET /v3/clusters"},
		{
			"cluster-list-long", words("cluster list --long --up --disabled --name c@alpha --binary cinder-volume"),
			map[string]string{"GET /v3/clusters/detail?binary=cinder-volume&disabled=true&is_up=true&name=c%40alpha": `{"clusters": [` + oneCluster + `]}`},
			"GET /v3/clusters/detail?binary=cinder-volume&disabled=true&is_up=true&name=c%40alpha",
		},
		{
			"cluster-list-down", words("cluster list --down --enabled -o json"),
			map[string]string{"GET /v3/clusters?disabled=false&is_up=false": `{"clusters": []}`},
			"GET /v3/clusters?disabled=false&is_up=false",
		},
		{
			"cluster-show", words("cluster show c@alpha"),
			map[string]string{"GET /v3/clusters/c@alpha?binary=cinder-volume": `{"cluster": ` + oneCluster + `}`},
			"GET /v3/clusters/c@alpha?binary=cinder-volume",
		},
		{
			"cluster-show-json", words("cluster show c@alpha -o json"),
			map[string]string{"GET /v3/clusters/c@alpha?binary=cinder-volume": `{"cluster": ` + oneCluster + `}`},
			"GET /v3/clusters/c@alpha?binary=cinder-volume",
		},
		{
			"cluster-show-none", words("cluster show nope"),
			map[string]string{"GET /v3/clusters/nope?binary=cinder-volume": fault(404, "itemNotFound", "Cluster nope could not be found.")},
			"GET /v3/clusters/nope?binary=cinder-volume",
		},
		{
			"cluster-enable", words("cluster enable c@alpha -o yaml"),
			map[string]string{"PUT /v3/clusters/enable": shortCluster},
			`PUT /v3/clusters/enable {"binary":"cinder-volume","name":"c@alpha"}`,
		},
		{
			"cluster-disable", words("cluster disable c@alpha --reason why"),
			map[string]string{"PUT /v3/clusters/disable": shortCluster},
			`PUT /v3/clusters/disable {"binary":"cinder-volume","disabled_reason":"why","name":"c@alpha"}`,
		},
		{
			"operation-list", words("operation list --host stor1 --kind failover --state open --user ada --since 2026-11-23T00:00:00 --limit 2"),
			map[string]string{"GET /stoker/v1/operations?host=stor1&kind=failover&limit=2&since=2026-11-23T00%3A00%3A00&state=open&user_id=ada": `{"operations": [` + oneOperation + `]}`},
			"GET /stoker/v1/operations?host=stor1&kind=failover&limit=2&since=2026-11-23T00%3A00%3A00&state=open&user_id=ada",
		},
		{
			"operation-show", words("operation show 01a2"),
			map[string]string{"GET /stoker/v1/operations/01a2": `{"operation": ` + oneOperation + `}`},
			"GET /stoker/v1/operations/01a2",
		},
		{
			"operation-show-json", words("operation show 01a2 -o json"),
			map[string]string{"GET /stoker/v1/operations/01a2": `{"operation": ` + oneOperation + `}`},
			"GET /stoker/v1/operations/01a2",
		},
		{
			"operation-abort", words("operation abort 01a2"),
			map[string]string{"POST /stoker/v1/operations/01a2/abort": fault(409, "conflictingRequest", "Service cinder-volume on host stor1@alpha is up.")},
			"POST /stoker/v1/operations/01a2/abort",
		},
	}
}

const targetsOfAlpha = "/stoker/v1/failover-targets?host=stor1%40alpha"

// destinations is where stor1@alpha can be failed over to.
func destinations(site string, complete bool) string {
	return fmt.Sprintf(`{"failover_targets": [{"host": "stor1@alpha", "cluster": null, "replication_status": "enabled", "active_backend_id": null, "targets": [%q], "complete": %v}]}`, site, complete)
}

// A site that was not announced is sent to only when somebody says so.
func TestFailoverAsks(t *testing.T) {
	tests := []struct {
		name, typed string
		sent        bool
	}{
		{"yes", "yes\n", true},
		{"y without a line's end", "y", true},
		{"no", "n\n", false},
		{"the site's name", "backend-7\n", false},
		{"nobody is there", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			api := &fake{t: t, answers: map[string]string{
				"PUT /v3/os-services/failover_host": "202", "GET " + targetsOfAlpha: destinations("000197800123", false),
			}}
			var out, errs strings.Builder
			status := cli.Run(t.Context(), cli.Process{
				Args:  words("service failover stor1@alpha --backend-id backend-7"),
				Stdin: strings.NewReader(tt.typed), Stdout: &out, Stderr: &errs, Transport: api,
			}, cli.Deps{})
			if sent := len(api.asked) == 2; sent != tt.sent || (status == 0) != tt.sent {
				t.Errorf("asked %q, exit status %d, %s; want it sent: %v", api.asked, status, errs.String(), tt.sent)
			}
		})
	}
}

func words(s string) []string { return strings.Fields(s) }

func TestEveryCommandFailsWithTheServersWords(t *testing.T) {
	for _, line := range []string{
		"service list", "service enable h", "service disable h", "service freeze h", "service thaw h", "service failover h", "service failover h --backend-id x", "service targets",
		"log get", "log set info", "cluster list", "cluster show c", "cluster enable c", "cluster disable c",
		"operation list", "operation show x", "operation abort x",
	} {
		t.Run(line, func(t *testing.T) {
			got := run(t, always(fault(403, "forbidden", "Policy doesn't allow that.")), cli.Deps{}, words(line)...)
			if want := (result{1, "", "stoker: Policy doesn't allow that.\n"}); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestNoAPI(t *testing.T) {
	refused := refuse{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}}
	tests := []struct {
		name, args, want string
		api              refuse
	}{
		{"nobody here", "service list", "stoker: nothing listens on 127.0.0.1:8776 (stoker standalone starts one; --endpoint names another)\n", refused},
		{"nobody there", "service list --endpoint http://ctl1:8776/v3", "stoker: nothing listens on ctl1:8776: dial: connect: connection refused\n", refused},
		{"no such host", "log get --endpoint http://nope/v3", "stoker: cannot reach nope: no such host\n", refuse{errors.New("no such host")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, want := run(t, tt.api, cli.Deps{}, words(tt.args)...), (result{1, "", tt.want}); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestEndpointAndProjectFromTheEnvironment(t *testing.T) {
	const project = "0123456789abcdef0123456789abcdef"
	api := &fake{t: t, answers: map[string]string{"GET /volume/v3/" + project + "/os-services": `{"services": []}`, "GET /volume/": `{"versions": [{"id": "v3.0", "version": "3.71"}]}`}}
	var out, errs strings.Builder
	status := cli.Run(t.Context(), cli.Process{
		Args: words("service list -o json"), Env: []string{"STOKER_ENDPOINT=http://h/volume/v3", "STOKER_PROJECT=" + project}, Stdout: &out, Stderr: &errs, Transport: api,
	}, cli.Deps{})
	if status != 0 || out.String() != "[]\n" || errs.String() != "" {
		t.Errorf("status %d, %s, %s", status, out.String(), errs.String())
	}
}
