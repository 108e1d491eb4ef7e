package telemetry

import (
	"log/slog"
	"strings"
	"sync"

	"stoker/internal/cinder"
)

// NameKey is the attribute with the logger's name in each record.
const NameKey = "logger"

// Loggers is a registry of named loggers, for one service. It is safe for concurrent
// use.
type Loggers struct {
	handler slog.Handler
	level   slog.Level // of new loggers

	mu    sync.Mutex // guards named
	named map[string]named
}

type named struct {
	log   *slog.Logger
	level *slog.LevelVar
}

// NewLoggers returns an empty registry. Its loggers write to h, which must accept every
// level (as NewHandler's do), and start at level.
func NewLoggers(h slog.Handler, level cinder.LogLevel) *Loggers {
	l, _ := slogLevel(level) // any other value means INFO
	return &Loggers{handler: h, level: l, named: map[string]named{}}
}

// Logger returns the logger with that name, such as "stoker.agent", and creates it if
// necessary. All loggers with the same name share one level.
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

// Levels returns the level of each logger whose name starts with prefix; "" means all
// (doc/cinder/wire.md#objects).
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

// SetLevel sets the level of the existing loggers whose name starts with prefix. It
// does nothing when there is none (live.json, logs/set-log-new-logger-prefix), and for
// a level that cinder.ParseLogLevel refuses.
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
