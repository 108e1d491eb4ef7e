package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"unicode/utf8"

	"stoker/internal/cinder"
	"stoker/internal/printable"
)

// Format is the form of log records.
type Format string

// The forms of log records.
const (
	Text Format = "text" // key=value, for people
	JSON Format = "json" // an object per line, for collectors
)

// What a field of a record has room for, in bytes, before it is escaped.
const (
	maxField = 1 << 10
	maxStack = 16 << 10
)

// StackKey is the attribute that holds a goroutine's stack, for which there is
// more room than for others.
const StackKey = "stack"

// NewHandler makes a handler that writes records of every level to w, one line
// each whatever they hold, so that nobody's input can forge a record: messages
// and values that hold more than printable characters are quoted as Go quotes
// them, or as JSON does, and long ones are cut, which they say. Levels are
// Loggers' to decide.
func NewHandler(w io.Writer, f Format) slog.Handler {
	o := &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: field}
	if f == JSON {
		return slog.NewJSONHandler(escaped{w, printable.JSON}, o)
	}
	return slog.NewTextHandler(escaped{w, printable.Quoted}, o)
}

// escaped is a writer of records in whose strings slog has left what a terminal
// would obey or hide.
type escaped struct {
	w      io.Writer
	escape func([]byte) []byte
}

// Write implements io.Writer.
func (e escaped) Write(p []byte) (int, error) {
	if _, err := e.w.Write(e.escape(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// field is an attribute as it is written: levels as set-log spells them, WARNING,
// not WARN, and texts cut.
func field(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.LevelKey && len(groups) == 0 {
		if l, ok := a.Value.Any().(slog.Level); ok {
			return slog.String(slog.LevelKey, string(LevelOf(l)))
		}
	}
	most := maxField
	if a.Key == StackKey {
		most = maxStack
	}
	a.Key = cut(a.Key, maxField)
	if a.Value.Kind() == slog.KindString {
		a.Value = slog.StringValue(cut(a.Value.String(), most))
	}
	if a.Value.Kind() == slog.KindAny { // an error, or what else the program puts into a record
		text := fmt.Sprint(a.Value.Any())
		if _, isError := a.Value.Any().(error); isError || len(text) > most {
			a.Value = slog.StringValue(cut(text, most))
		}
	}
	return a
}

// cut is s, or as much of it as there is room for and how much is missing.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	end := most
	for end > most-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return fmt.Sprintf("%s... (%d bytes more)", s[:end], len(s)-end)
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
