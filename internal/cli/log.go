package cli

import "stoker/internal/client"

type logCmd struct {
	Get logGetCmd `cmd:"" help:"Show the log levels of services."`
	Set logSetCmd `cmd:"" help:"Change the log level of services."`
}

// logFilter selects services and their loggers.
type logFilter struct {
	Host   string `placeholder:"NAME" help:"Only services on this host, HOST or HOST@BACKEND, or of this cluster."`
	Binary string `placeholder:"BINARY" help:"Only these: cinder-api, cinder-volume, cinder-backup or cinder-scheduler."`
	Prefix string `placeholder:"PREFIX" help:"Only loggers whose names start so, such as stoker.backend."`
}

func (f logFilter) filter() client.LogFilter {
	return client.LogFilter{Binary: f.Binary, Server: f.Host, Prefix: f.Prefix}
}
