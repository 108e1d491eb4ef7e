package telemetry

import (
	"log/slog"
	"strings"
	"sync"

	"stoker/internal/cinder"
)

// NameKey is the attribute that holds a logger's name in every record.
const NameKey = "logger"

// Loggers is a registry of named loggers: those of one service. It is safe for
// concurrent use.
type Loggers struct {
	handler slog.Handler
	level   slog.Level // of loggers to come

	mu    sync.Mutex // guards named
	named map[string]named
}

type named struct {
	log   *slog.Logger
	level *slog.LevelVar
}

// NewLoggers makes an empty registry. Its loggers write to h, which must let
// every level through (as NewHandler's do), and start at level.
func NewLoggers(h slog.Handler, level cinder.LogLevel) *Loggers {
	l, _ := slogLevel(level) // anything else means INFO
	return &Loggers{handler: h, level: l, named: map[string]named{}}
}

// Logger returns the logger of that name, such as "stoker.agent", and makes it
// when there is none yet. All loggers of one name share one level.
func (l *Loggers) Logger(name string) *slog.Logger {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n, ok := l.named[name]; ok {
		return n.log
	}
	level := new(slog.LevelVar)
	level.Set(l.level)
	h := l.handler.WithAttrs([]slog.Attr{slog.String(NameKey, name)})
	n := named{log: slog.New(leveled{h, level}), level: level}
	l.named[name] = n
	return n.log
}

// Levels returns the effective level of every logger whose name starts with
// prefix, a plain string; "" means all (doc/cinder/wire.md#objects).
func (l *Loggers) Levels(prefix string) map[string]cinder.LogLevel {
	l.mu.Lock()
	defer l.mu.Unlock()
	levels := make(map[string]cinder.LogLevel)
	for name, n := range l.named {
		if strings.HasPrefix(name, prefix) {
			levels[name] = LevelOf(n.level.Level())
		}
	}
	return levels
}

// SetLevel sets the level of those loggers, of those there are now. A prefix
// that no logger has does nothing (live.json, logs/set-log-new-logger-prefix),
// nor does a level that cinder.ParseLogLevel would refuse.
func (l *Loggers) SetLevel(prefix string, level cinder.LogLevel) {
	sl, ok := slogLevel(level)
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, n := range l.named {
		if strings.HasPrefix(name, prefix) {
			n.level.Set(sl)
		}
	}
}
