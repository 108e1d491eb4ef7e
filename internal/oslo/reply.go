package oslo

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Reply is a reply to a call (doc/cinder/wire.md#replies).
type Reply struct {
	Result  json.RawMessage // null when there is none
	Failure *Failure        // nil unless the call failed
	// Ending means that no more replies follow. A reply without it is a keep-alive or,
	// in the old convention, has the result, and an empty ending reply follows.
	Ending   bool
	MsgID    string // of the call
	UniqueID string
	// Detail is the backend's message when the result is false. Cinder's replies have
	// no such key, and its callers ignore it.
	Detail string
}

// reply is Reply on the wire. Failure is JSON in a string.
type reply struct {
	Result   json.RawMessage `json:"result"`
	Failure  json.RawMessage `json:"failure"`
	Ending   bool            `json:"ending"`
	MsgID    string          `json:"_msg_id"`
	UniqueID string          `json:"_unique_id"`
	Detail   string          `json:"_stoker_detail,omitempty"`
}

// EncodeReply encodes a reply in an envelope.
func EncodeReply(r Reply) ([]byte, error) {
	w := reply{
		Result: r.Result, Failure: json.RawMessage("null"), Ending: r.Ending,
		MsgID: r.MsgID, UniqueID: r.UniqueID, Detail: r.Detail,
	}
	if len(w.Result) == 0 {
		w.Result = json.RawMessage("null")
	}
	if r.Failure != nil {
		text, err := json.Marshal(r.Failure)
		if err != nil {
			return nil, fmt.Errorf("encode failure: %w", err)
		}
		if w.Failure, err = json.Marshal(string(text)); err != nil {
			return nil, fmt.Errorf("encode failure: %w", err)
		}
	}
	body, err := seal(w)
	if err != nil {
		return nil, fmt.Errorf("encode reply: %w", err)
	}
	return body, nil
}

// DecodeReply decodes a reply with or without envelope. The key failure is required,
// and ending defaults to false, as for Cinder's callers (doc/cinder/wire.md#replies).
// On an error MsgID is set if it could be read: that call will get no better reply.
func DecodeReply(body []byte) (Reply, error) {
	text, err := open(body)
	if err != nil {
		return Reply{}, fmt.Errorf("decode reply: %w", err)
	}
	var id struct {
		MsgID string `json:"_msg_id"`
	}
	if err := json.Unmarshal(text, &id); err != nil {
		return Reply{}, fmt.Errorf("decode reply: %w", err)
	}
	var w reply
	if err := json.Unmarshal(text, &w); err != nil {
		return Reply{MsgID: id.MsgID}, fmt.Errorf("decode reply: %w", err)
	}
	r := Reply{Result: w.Result, Ending: w.Ending, MsgID: w.MsgID, UniqueID: w.UniqueID, Detail: w.Detail}
	if isNull(r.Result) {
		r.Result = json.RawMessage("null")
	}
	switch {
	case len(w.Failure) == 0:
		return Reply{MsgID: w.MsgID}, errors.New("decode reply: it does not say whether the call failed")
	case isNull(w.Failure):
		return r, nil
	}
	if r.Failure, err = decodeFailure(w.Failure); err != nil {
		return Reply{MsgID: w.MsgID}, fmt.Errorf("decode reply: %w", err)
	}
	return r, nil
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }
