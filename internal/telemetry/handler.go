package telemetry

import (
	"context"
	"io"
	"log/slog"

	"stoker/internal/cinder"
)

// Format is the form of log records.
type Format string

// The forms of log records.
const (
	Text Format = "text" // key=value, for people
	JSON Format = "json" // an object per line, for collectors
)

// NewHandler makes a handler that writes records of every level to w, one line
// each whatever they hold, so that nobody's input can forge a record: messages
// and values that hold more than printable characters are quoted as Go quotes
// them, or as JSON does. Levels are Loggers' to decide.
func NewHandler(w io.Writer, f Format) slog.Handler {
	o := &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: nameLevel}
	if f == JSON {
		return slog.NewJSONHandler(w, o)
	}
	return slog.NewTextHandler(w, o)
}

// nameLevel writes levels as set-log spells them: WARNING, not WARN.
func nameLevel(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 || a.Key != slog.LevelKey {
		return a
	}
	if l, ok := a.Value.Any().(slog.Level); ok {
		return slog.String(slog.LevelKey, string(LevelOf(l)))
	}
	return a
}

// leveled lets through what its variable allows.
type leveled struct {
	slog.Handler
	level *slog.LevelVar
}

func (h leveled) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

func (h leveled) WithAttrs(attrs []slog.Attr) slog.Handler {
	return leveled{h.Handler.WithAttrs(attrs), h.level}
}

func (h leveled) WithGroup(name string) slog.Handler {
	return leveled{h.Handler.WithGroup(name), h.level}
}

// LevelOf is the threshold that a slog level stands for.
func LevelOf(l slog.Level) cinder.LogLevel {
	switch {
	case l < slog.LevelInfo:
		return cinder.LogDebug
	case l < slog.LevelWarn:
		return cinder.LogInfo
	case l < slog.LevelError:
		return cinder.LogWarning
	default:
		return cinder.LogError
	}
}

// slogLevel is the slog level of a threshold; ok is false for a word that is none.
func slogLevel(l cinder.LogLevel) (level slog.Level, ok bool) {
	switch l {
	case cinder.LogDebug:
		return slog.LevelDebug, true
	case cinder.LogInfo:
		return slog.LevelInfo, true
	case cinder.LogWarning:
		return slog.LevelWarn, true
	case cinder.LogError:
		return slog.LevelError, true
	default:
		return slog.LevelInfo, false
	}
}
