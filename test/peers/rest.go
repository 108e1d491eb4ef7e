package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// rest does a request with JSON both ways, as far as body and into are not
// nil. An answer of 400 and more is an error.
func rest(ctx context.Context, method, url string, header http.Header, body, into any) (http.Header, error) {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	req.Header = header.Clone()
	req.Header.Set("Content-Type", "application/json")
	client := http.Client{Timeout: startWithin, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if text, err = io.ReadAll(res.Body); err != nil {
		return nil, err
	}
	if res.StatusCode >= http.StatusBadRequest {
		return res.Header, fmt.Errorf("%s %s: %s %s", method, url, res.Status, text)
	}
	if into == nil {
		return res.Header, nil
	}
	return res.Header, json.Unmarshal(text, into)
}
