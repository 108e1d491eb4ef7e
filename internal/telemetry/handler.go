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

// Format is the format of log records.
type Format string

// Formats of log records.
const (
	Text Format = "text" // key=value, for people
	JSON Format = "json" // one object per line, for log collectors
)

// Limits on the length of a field, in bytes, before it is escaped.
const (
	maxField = 1 << 10
	maxStack = 16 << 10
)

// StackKey is the attribute for a goroutine's stack, which may be longer than others.
const StackKey = "stack"

// NewHandler returns a handler that writes records of every level to w, one line each
// whatever they contain, so that input cannot forge a record: messages and values with
// anything but printable characters are quoted as in Go or JSON, and long ones are
// truncated visibly. Loggers filter by level.
func NewHandler(w io.Writer, f Format) slog.Handler {
	o := &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: field}
	if f == JSON {
		return slog.NewJSONHandler(escaped{w, printable.JSON}, o)
	}
	return slog.NewTextHandler(escaped{w, printable.Quoted}, o)
}

// escaped writes records after escaping the hidden characters that slog leaves in
// strings.
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

// field formats an attribute: levels as in set-log (WARNING, not WARN), and long texts
// truncated.
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
	if a.Value.Kind() == slog.KindAny { // an error, or any other value
		text := fmt.Sprint(a.Value.Any())
		if _, isError := a.Value.Any().(error); isError || len(text) > most {
			a.Value = slog.StringValue(cut(text, most))
		}
	}
	return a
}

// cut truncates s and appends how many bytes are missing.
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

// leveled filters records by a variable level.
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

// LevelOf converts a slog level to a log level.
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

// slogLevel converts a log level to a slog level; ok is false when it is not a level.
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
