// Package telemetry is how services say what they do: log records with the name
// of the logger that made them, at levels that change while the program runs.
//
// Each service of a process has a registry of its own (Loggers), so that its
// levels can be read and set without touching its neighbours'; all of them may
// write to one handler, told apart by attributes:
//
//	output := telemetry.NewHandler(os.Stderr, telemetry.Text)
//	loggers := telemetry.NewLoggers(output.WithAttrs(who), cinder.LogInfo)
//	log := loggers.Logger("stoker.backend.mirror")
//
// It is not a logging framework: records are log/slog's, and so are handlers.
package telemetry
