package amqp

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What is refused again and again is logged now and then, and at once when the
// broker has another reason.
func TestRefusalsAreLoggedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := refusals{log: slog.New(slog.NewTextHandler(&log, nil)), on: map[string]*ongoing{}}
		refuse := func(why string, seconds int) (lines int) {
			log.Reset()
			for range seconds {
				r.note(context.Background(), "queue", &refusal{told: "told", err: errors.New(why)})
				<-time.After(time.Second) // the clock is the test's own
			}
			return strings.Count(log.String(), "level=ERROR")
		}
		if got := refuse("one", 3600); got != 12 {
			t.Errorf("%d lines in an hour, want 12", got)
		}
		if got := refuse("another", 10); got != 1 {
			t.Errorf("%d lines for another reason, want 1", got)
		}
		r.note(context.Background(), "queue", errors.New("lost"))
		if r.all() == nil {
			t.Error("an error that is no refusal ends one")
		}
		r.note(context.Background(), "queue", nil)
		r.note(context.Background(), "queue", nil)
		if r.all() != nil || strings.Count(log.String(), "level=INFO") != 1 {
			t.Errorf("once it is mended: %v, logged\n%s", r.all(), log.String())
		}
	})
}
