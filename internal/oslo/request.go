package oslo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"stoker/internal/cinder"
)

// Request is a call, cast or fanout (doc/cinder/wire.md#messages).
type Request struct {
	Method    string
	Version   string          // of the service's interface: "3.12"
	Namespace string          // "" from Cinder
	Args      json.RawMessage // an object
	Caller    cinder.Caller

	MsgID     string        // of a call; "" for a cast
	ReplyTo   string        // reply queue of a call
	KeepAlive time.Duration // interval of keep-alive replies that a call requests, in whole seconds; 0 for none
	UniqueID  string        // to detect duplicates
}

// Call reports whether the sender waits for a reply.
func (r *Request) Call() bool { return r.MsgID != "" }

// EncodeRequest encodes a request with context and envelope, as sent at now.
func EncodeRequest(r Request, now time.Time) ([]byte, error) {
	args := r.Args
	if len(args) == 0 {
		args = json.RawMessage("{}")
	}
	inner := contextOf(r.Caller, now)
	maps.Copy(inner, map[string]any{
		"method": r.Method, "args": args, "version": r.Version, "_unique_id": r.UniqueID,
	})
	if r.Namespace != "" {
		inner["namespace"] = r.Namespace
	}
	if r.Call() {
		inner["_msg_id"], inner["_reply_q"], inner["_timeout"] = r.MsgID, r.ReplyTo, nil
		if r.KeepAlive > 0 {
			inner["_timeout"] = int(r.KeepAlive / time.Second)
		}
	}
	body, err := seal(inner)
	if err != nil {
		return nil, fmt.Errorf("encode request %s: %w", r.Method, err)
	}
	return body, nil
}

// DecodeRequest decodes a request with or without envelope. It ignores unknown keys.
func DecodeRequest(body []byte) (Request, error) {
	text, err := open(body)
	if err != nil {
		return Request{}, fmt.Errorf("decode request: %w", err)
	}
	var inner struct {
		Method    *string         `json:"method"`
		Args      json.RawMessage `json:"args"`
		Version   *string         `json:"version"`
		Namespace *string         `json:"namespace"`
		MsgID     *string         `json:"_msg_id"`
		ReplyTo   *string         `json:"_reply_q"`
		Timeout   *float64        `json:"_timeout"`
		UniqueID  *string         `json:"_unique_id"`
	}
	if err := json.Unmarshal(text, &inner); err != nil {
		return Request{}, fmt.Errorf("decode request: %w", err)
	}
	if inner.Method == nil {
		return Request{}, errors.New("decode request: it names no method")
	}
	r := Request{
		Method: *inner.Method, Version: "1.0", Namespace: value(inner.Namespace), Args: inner.Args,
		MsgID: value(inner.MsgID), ReplyTo: value(inner.ReplyTo), UniqueID: value(inner.UniqueID),
	}
	if inner.Version != nil {
		r.Version = *inner.Version
	}
	if len(r.Args) == 0 || bytes.Equal(r.Args, []byte("null")) {
		r.Args = json.RawMessage("{}")
	}
	if r.Args[0] != '{' {
		return Request{}, fmt.Errorf("decode request %q: args are no object", r.Method)
	}
	if r.Call() && r.ReplyTo == "" {
		return Request{}, fmt.Errorf("decode request %q: a call without a reply queue", r.Method)
	}
	if t := inner.Timeout; r.Call() && t != nil && *t >= 1 && *t <= maxKeepAlive.Seconds() {
		r.KeepAlive = time.Duration(*t) * time.Second
	}
	r.Caller = callerOf(text)
	return r, nil
}

// maxKeepAlive bounds the interval that a caller may request; a longer one is ignored.
const maxKeepAlive = 24 * time.Hour

// value dereferences p; "" for nil.
func value(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}
