package oslo

import (
	"encoding/json"
	"errors"
	"fmt"
)

// envelopeVersion is the only supported version. Messages with another one are dropped,
// as Cinder does with 2.1 and 3.0 (doc/cinder/wire.md#messages).
const envelopeVersion = "2.0"

// envelope is the outer object of a message. The inner object is a JSON string.
type envelope struct {
	Version *string `json:"oslo.version"`
	Message *string `json:"oslo.message"`
}

// seal wraps an inner object in an envelope.
func seal(inner any) ([]byte, error) {
	text, err := json.Marshal(inner)
	if err != nil {
		return nil, err
	}
	version, message := envelopeVersion, string(text)
	return json.Marshal(envelope{Version: &version, Message: &message})
}

// open returns the inner object. A body without an envelope is the inner object itself
// (live.json, reply/noenvelope).
func open(body []byte) ([]byte, error) {
	body = standardJSON(body)
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, fmt.Errorf("envelope: %w", err)
	}
	switch {
	case e.Version == nil && e.Message == nil:
		return body, nil
	case e.Version == nil || *e.Version != envelopeVersion:
		return nil, errors.New("envelope: the version is not " + envelopeVersion)
	case e.Message == nil:
		return nil, errors.New("envelope: there is no message in it")
	default:
		return standardJSON([]byte(*e.Message)), nil
	}
}
