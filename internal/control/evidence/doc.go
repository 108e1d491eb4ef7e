// Package evidence reads what the rows of services and clusters prove. Cinder's
// rows do not say who wrote them: a service, another API or this one. What
// happened follows from which columns changed together, and this package is the
// only one in control that draws such conclusions. It is pure: it reads rows,
// causes and operations that it is given, and no clock and no database.
//
// A volume service writes these columns of its own row, and nobody else writes
// them together:
//
//	event                    disabled  disabled_reason  frozen  replication_status  active_backend_id
//	freeze carried out       true      'frozen'         -       -                   -
//	thaw carried out         false     ''               -       -                   -
//	failover carried out     true      'failed-over'    -       failed-over         the site
//	failover failed          true      -                -       failover-error      -
//	failback carried out     false     ''               -       enabled             ''
//	failback while frozen    true      'frozen'         -       enabled             ''
//	start, failing-over      -         -                -       enabled             -
//	start, never replicated  -         -                -       disabled            -
//
// frozen and the failing-over of replication_status are written by the API that
// sends the command; an enable of another API writes disabled alone; ours empties
// disabled_reason to NULL.
//
// record.go has the causes on record for a service and how they are brought in
// line with its row; freeze.go what a row says of a freeze or thaw; failover.go
// what rows say of a failover.
package evidence
