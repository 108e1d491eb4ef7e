// Package cloud is what tests of the built program beside a real Cinder have in
// common: a database and a bus with Python services and Stoker's on them,
// requests to the API of either, the rows as they are, and the journal. Tests
// alone use it.
//
//	c := cloud.New(t, &engines)
//	python := c.Python(t, "host1", "scheduler", "volume")
//	c.Sync(t)
//	ours := cloud.API{Name: "stoker", URL: c.Stoker(t, "host1", "api").URL}
//	ours.Must(t, "os-services/freeze", map[string]any{"host": "host1@alpha"})
//	c.Rows(t)["host1@alpha"] // disabled 'frozen' enabled frozen
package cloud
