package oslo

import (
	"encoding/json"
	"errors"
	"fmt"
)

// envelopeVersion is the only version of the envelope that is spoken. Messages
// of another one are dropped, as Cinder does with 2.1 and 3.0 (doc/cinder/wire.md#messages).
const envelopeVersion = "2.0"

// envelope is the outer object of a message. The inner one is JSON within a string.
type envelope struct {
	Version *string `json:"oslo.version"`
	Message *string `json:"oslo.message"`
}

// seal puts an inner object into an envelope.
func seal(inner any) ([]byte, error) {
	text, err := json.Marshal(inner)
	if err != nil {
		return nil, err
	}
	version, message := envelopeVersion, string(text)
	return json.Marshal(envelope{Version: &version, Message: &message})
}

// open takes the inner object out of its envelope. A body without one is the
// inner object itself (live.json, reply/noenvelope).
func open(body []byte) ([]byte, error) {
	body = standard(body)
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
		return standard([]byte(*e.Message)), nil
	}
}
