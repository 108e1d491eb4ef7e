package cloud

import (
	"encoding/json"
	"strings"
	"testing"
)

// row is a volume service, or a cluster of them, as far as these tests look at
// it, from the database or from a list.
type row struct {
	Host        string  `json:"host"`
	Binary      string  `json:"binary"`
	Status      string  `json:"status"`
	Reason      *string `json:"disabled_reason"`
	Replication *string `json:"replication_status"`
	Active      *string `json:"active_backend_id"`
	Frozen      bool    `json:"frozen"`
}

// String is what there is to say of it in one line:
//
//	disabled 'failed-over' failed-over on site-b frozen
func (r row) String() string {
	words := []string{r.Status}
	if r.Reason != nil && *r.Reason != "" {
		words = append(words, "'"+*r.Reason+"'")
	}
	if r.Replication != nil {
		words = append(words, *r.Replication)
	}
	if r.Active != nil && *r.Active != "" {
		words = append(words, "on", *r.Active)
	}
	if r.Frozen {
		words = append(words, "frozen")
	}
	return strings.Join(words, " ")
}

// Rows are the volume services by host, and the clusters by name, in a line each.
func (c *Cloud) Rows(tb testing.TB) map[string]string {
	tb.Helper()
	rows, err := c.DB.QueryContext(tb.Context(), "SELECT host, disabled, disabled_reason, replication_status, active_backend_id, frozen FROM services WHERE NOT deleted AND `binary` = 'cinder-volume'"+
		" UNION ALL SELECT name, disabled, disabled_reason, replication_status, active_backend_id, frozen FROM clusters WHERE NOT deleted AND `binary` = 'cinder-volume'")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	found := map[string]string{}
	for rows.Next() {
		var r row
		var disabled, frozen *bool
		if err := rows.Scan(&r.Host, &disabled, &r.Reason, &r.Replication, &r.Active, &frozen); err != nil {
			tb.Fatal(err)
		}
		r.Status = "enabled"
		if disabled != nil && *disabled {
			r.Status = "disabled"
		}
		r.Frozen = frozen != nil && *frozen
		found[r.Host] = r.String()
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	return found
}

// Exec changes rows behind everybody's back.
func (c *Cloud) Exec(tb testing.TB, statement string, args ...any) {
	tb.Helper()
	if _, err := c.DB.ExecContext(tb.Context(), statement, args...); err != nil {
		tb.Fatal(err)
	}
}

// Listed are the volume services that a list shows, by host, in a line each.
func Listed(body string) (map[string]string, error) {
	var l struct {
		Services []row `json:"services"`
	}
	if err := json.Unmarshal([]byte(body), &l); err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, r := range l.Services {
		if r.Binary == "cinder-volume" {
			found[r.Host] = r.String()
		}
	}
	return found, nil
}
