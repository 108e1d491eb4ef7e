// Package telemetry provides loggers with names, whose levels can be changed at run
// time.
//
// Each service of a process has its own registry (Loggers), so that its levels can be
// read and set independently of the other services'. All of them may write to one
// handler, distinguished by attributes:
//
//	output := telemetry.NewHandler(os.Stderr, telemetry.Text)
//	loggers := telemetry.NewLoggers(output.WithAttrs(who), cinder.LogInfo)
//	log := loggers.Logger("stoker.backend.mirror")
//
// Records and handlers are those of log/slog.
package telemetry
