package client

import (
	"context"

	"stoker/internal/cinder"
)

// LogFilter selects services and loggers; "" does not restrict.
type LogFilter struct {
	Binary string
	Server string // a host, host@backend, cluster or cluster@backend
	Prefix string // of logger names
}

// LogLevels are the levels of a service's loggers.
type LogLevels struct {
	Binary string                     `json:"binary"`
	Host   string                     `json:"host"`
	Levels map[string]cinder.LogLevel `json:"levels"`
}

// LogAnswer is the result of get-log. Silent is always empty with Cinder, where one
// service that does not answer fails the whole request.
type LogAnswer struct {
	Levels []LogLevels
	Silent []SilentService
}

// SilentService is a service that did not answer, and why.
type SilentService struct {
	Binary string `json:"binary"`
	Host   string `json:"host"`
	Why    string `json:"reason"`
}

// logMinor is the microversion that introduced log levels.
const logMinor = 32

// GetLog gets the log levels of the selected services.
func (c *Client) GetLog(ctx context.Context, f LogFilter) (LogAnswer, error) {
	if err := c.needs(ctx, logMinor, "get-log"); err != nil {
		return LogAnswer{}, err
	}
	b, _, err := c.put(ctx, "os-services/get-log", f.body())
	if err != nil {
		return LogAnswer{}, err
	}
	var answer struct {
		LogLevels []LogLevels     `json:"log_levels"`
		Silent    []SilentService `json:"unanswered"`
	}
	err = c.decode(b, &answer)
	return LogAnswer{Levels: answer.LogLevels, Silent: answer.Silent}, err
}

// SetLog sets the level of the selected loggers. It returns when the services have been
// told, not when they have done it.
func (c *Client) SetLog(ctx context.Context, f LogFilter, level cinder.LogLevel) (Change, error) {
	if err := c.needs(ctx, logMinor, "set-log"); err != nil {
		return Change{}, err
	}
	body := f.body()
	body["level"] = string(level)
	return c.change(ctx, "os-services/set-log", body)
}

func (f LogFilter) body() map[string]any {
	body := map[string]any{}
	for name, value := range map[string]string{"binary": f.Binary, "server": f.Server, "prefix": f.Prefix} {
		if value != "" {
			body[name] = value
		}
	}
	return body
}
