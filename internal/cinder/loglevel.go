package cinder

import "strings"

// LogLevel is the threshold of a logger as the API spells it.
type LogLevel string

// The log levels that services take.
const (
	LogDebug   LogLevel = "DEBUG"
	LogInfo    LogLevel = "INFO"
	LogWarning LogLevel = "WARNING"
	LogError   LogLevel = "ERROR"
)

// ParseLogLevel reads a level, whatever its case. Any other word, the empty one
// included, is a KindInvalid error (services.json, set-log/level-*).
func ParseLogLevel(s string) (LogLevel, error) {
	switch l := LogLevel(strings.ToUpper(s)); l {
	case LogDebug, LogInfo, LogWarning, LogError:
		return l, nil
	default:
		return "", Errorf(KindInvalid, "Invalid input received: %s is not a valid log level.", s)
	}
}

// ServiceLogLevels are the levels of the loggers of one service.
type ServiceLogLevels struct {
	Host   string
	Binary string
	Levels map[string]LogLevel // logger name to its effective level
}
