package cinder

import "strings"

// LogLevel is a logger's level, spelled as in the API.
type LogLevel string

// Log levels that services accept.
const (
	LogDebug   LogLevel = "DEBUG"
	LogInfo    LogLevel = "INFO"
	LogWarning LogLevel = "WARNING"
	LogError   LogLevel = "ERROR"
)

// ParseLogLevel parses a level, ignoring case. KindInvalid for anything else, including
// "" (services.json, set-log/level-*).
func ParseLogLevel(s string) (LogLevel, error) {
	switch l := LogLevel(strings.ToUpper(s)); l {
	case LogDebug, LogInfo, LogWarning, LogError:
		return l, nil
	default:
		return "", Errorf(KindInvalid, "Invalid input received: %s is not a valid log level.", s)
	}
}

// ServiceLogLevels are the levels of a service's loggers.
type ServiceLogLevels struct {
	Host   string
	Binary string
	Levels map[string]LogLevel // by logger name
}
