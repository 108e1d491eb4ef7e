package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"stoker/internal/cinder"
	"stoker/internal/cli/format"
	"stoker/internal/client"
	"stoker/internal/printable"
)

type eventWatchCmd struct {
	clientFlags
}

// Help is shown by --help.
func (eventWatchCmd) Help() string {
	return `A line for every change of a service's state, status, freeze or replication, and of every operation, whoever made it, until Ctrl-C. A connection that breaks is made again, after another login when the token has expired, and what changed meanwhile is printed. With -o json, each line is an object.

Examples:

  stoker event watch
  stoker event watch -o json`
}

// Run runs it.
func (c *eventWatchCmd) Run(ctx context.Context, p Process) error {
	return c.call(ctx, p, func(api *client.Client) error {
		return api.Events(ctx, func(e client.Event) error { return printEvent(p.Stdout, c.Output, e) }, func(why error) {
			fmt.Fprintf(p.Stderr, "stoker: %s Connecting again.\n", oneLine(cinder.Message(why)))
		})
	})
}

// printEvent prints an event in one line or, as YAML, in a document.
func printEvent(w io.Writer, form string, e client.Event) error {
	switch form {
	case format.FormYAML:
		if _, err := io.WriteString(w, "---\n"); err != nil {
			return err
		}
		return format.Write(w, form, map[string]any{"event": e.Kind, "data": e.Data}, format.Table{})
	case format.FormJSON:
		var line bytes.Buffer
		if err := json.Compact(&line, e.Data); err != nil {
			return fmt.Errorf("output: %w", err)
		}
		_, err := fmt.Fprintf(w, "{\"event\":%q,\"data\":%s}\n", e.Kind, printable.JSON(line.Bytes()))
		return err
	}
	words, err := eventWords(e)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, printable.Text(words))
	return err
}

// eventWords is an event for people.
func eventWords(e client.Event) (string, error) {
	if e.Kind == "operation" {
		var op client.Operation
		if err := json.Unmarshal(e.Data, &op); err != nil {
			return "", fmt.Errorf("event: %w", err)
		}
		at := op.StartedAt
		if op.SettledAt != nil {
			at = op.SettledAt
		}
		words := fmt.Sprintf("%s  operation  %s %s is %s", timeCell(at), op.Kind, targetCell(op), stateCell(op))
		if op.Outcome != "" {
			words += ": " + op.Outcome
		}
		return words + "  (" + op.ID + ")", nil
	}
	var s struct {
		client.Service
		At      client.Time `json:"at"`
		Removed bool        `json:"removed"`
		Changed []string    `json:"changed"`
	}
	if err := json.Unmarshal(e.Data, &s); err != nil {
		return "", fmt.Errorf("event: %w", err)
	}
	words := fmt.Sprintf("%s  service    %s on %s is %s, %s", s.At, s.Binary, s.Host, s.State, s.Status)
	if s.DisabledReason != nil && *s.DisabledReason != "" {
		words += " (" + *s.DisabledReason + ")"
	}
	if s.Frozen != nil && *s.Frozen {
		words += ", frozen"
	}
	if s.ReplicationStatus != nil {
		words += ", replication " + *s.ReplicationStatus
	}
	if s.ActiveBackendID != nil && *s.ActiveBackendID != "" {
		words += " on " + *s.ActiveBackendID
	}
	if len(s.Changed) > 0 {
		words += "  [" + strings.Join(s.Changed, ", ") + "]"
	}
	return words, nil
}
