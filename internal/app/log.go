package app

import (
	"log"
	"log/slog"
	"strings"

	"stoker/internal/telemetry"
)

// counted is a logger for what callers can cause who are not allowed anything:
// of records that agree in message and these attributes one is written a second.
func (a *App) counted(l *slog.Logger, names ...string) *slog.Logger {
	c := telemetry.NewCounted(l.Handler(), names...)
	a.onStop("what was counted for the log", c.Close)
	return slog.New(c)
}

// connectionLog is where net/http says what is wrong with a connection, such as
// that a client does not speak TLS.
func (a *App) connectionLog(name string) *log.Logger {
	return log.New(httpErrors{a.counted(a.loggers.Logger(name), "about")}, "", 0)
}

// httpErrors writes net/http's lines as records. What they are about is in their
// first words: addresses and errors come after.
type httpErrors struct{ log *slog.Logger }

// Write implements io.Writer.
func (h httpErrors) Write(line []byte) (int, error) {
	words := strings.Fields(string(line[:min(len(line), 100)]))
	about := strings.Join(words[:min(len(words), 3)], " ")
	h.log.Debug("a connection went wrong", "about", about, "says", strings.TrimSpace(string(line)))
	return len(line), nil
}
