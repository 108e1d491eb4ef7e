package client

import (
	"encoding/json"
	"net/http"
	"strings"

	"stoker/internal/cinder"
)

// fault converts an answer other than 2xx to an error, with a kind for the status and
// the server's message.
func fault(status int, body []byte) error {
	msg := faultMessage(body)
	if msg == "" {
		msg = strings.ToLower(http.StatusText(status))
		if msg == "" {
			msg = "no reason given"
		}
		return cinder.Errorf(kindOf(status), "the server answers %d: %s", status, msg)
	}
	return cinder.Errorf(kindOf(status), "%s", msg)
}

// faultMessage is the message of an OpenStack fault, {"badRequest": {"code": 400,
// "message": "..."}}; "" for anything else, such as a proxy's HTML.
func faultMessage(body []byte) string {
	var faults map[string]json.RawMessage
	if json.Unmarshal(body, &faults) != nil {
		return ""
	}
	for _, f := range faults {
		var detail struct{ Message string }
		if json.Unmarshal(f, &detail) == nil && detail.Message != "" {
			return detail.Message
		}
	}
	return ""
}

// kindOf maps a status to a kind. It inverts the API's table as far as possible:
// several kinds share 400, 500 and 503.
func kindOf(status int) cinder.Kind {
	switch status {
	case http.StatusUnauthorized:
		return cinder.KindUnauthenticated
	case http.StatusForbidden:
		return cinder.KindForbidden
	case http.StatusNotFound:
		return cinder.KindNotFound
	case http.StatusConflict:
		return cinder.KindConflict
	case http.StatusNotAcceptable, http.StatusNotImplemented, http.StatusMethodNotAllowed:
		return cinder.KindNotSupported
	case http.StatusBadGateway:
		return cinder.KindRemote
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		return cinder.KindUnavailable
	case http.StatusGatewayTimeout, http.StatusRequestTimeout:
		return cinder.KindTimeout
	}
	if status/100 == 4 {
		return cinder.KindInvalid
	}
	return cinder.KindInternal
}
