package app

import (
	"io"
	"net/http"
	"os"
	"time"

	"stoker/internal/cinder"
	"stoker/internal/config"
	"stoker/internal/metrics"
)

// Options say what runs in the process.
type Options struct {
	Config config.Config // valid

	Locks     []string // files that only one process may hold
	Alone     bool     // a lock keeps every other process of the host away, and all services are in this one
	Sync      bool     // make the schema first, where it is missing
	API       bool
	Scheduler bool
	Backup    bool
	Volumes   []Volume
	Fleet     int // simulated volume services

	Version string           // of the program, for metrics
	Metrics metrics.Registry // what metrics are kept in; nil is a new one

	// Wrap goes around the API; nil is nothing. Tests look at its answers there.
	Wrap func(http.Handler) (http.Handler, error)

	Log      io.Writer
	LogLevel cinder.LogLevel

	// ReplicationInterval is the time between two rounds of the mirror backends;
	// 0 means the default.
	ReplicationInterval time.Duration
}

// Volume is a volume service with a mirror backend.
type Volume struct {
	Host    string // host@backend
	Cluster string // cluster@backend; "" when not clustered
	Zone    string // "" is that of the configuration
	Name    string // volume_backend_name
	Root    string // the directory of its sites
	Targets []string

	// RefuseThaw are the words with which the backend refuses to thaw, from its
	// first start until the file of that name is removed; "" for one that does not.
	RefuseThaw string
}

// defaultReplication is the default of what no configuration file decides.
const defaultReplication = 10 * time.Second

// binary is what the process is in its own log.
func (o Options) binary() string {
	switch {
	case o.API:
		return cinder.BinaryAPI
	case o.Scheduler:
		return cinder.BinaryScheduler
	case o.Backup:
		return cinder.BinaryBackup
	default:
		return cinder.BinaryVolume
	}
}

// use is what the process reads its configuration for.
func (o Options) use() config.Use {
	switch {
	case o.API:
		return config.ForAPI
	case len(o.Volumes) > 0:
		return config.ForVolume
	default:
		return config.ForService
	}
}

func (o Options) withDefaults() Options {
	if o.ReplicationInterval == 0 {
		o.ReplicationInterval = defaultReplication
	}
	if o.Wrap == nil {
		o.Wrap = wrap
	}
	if o.Log == nil {
		o.Log = os.Stderr
	}
	if o.LogLevel == "" {
		o.LogLevel = cinder.LogInfo
	}
	return o
}
