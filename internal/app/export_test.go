package app

import (
	"time"

	"stoker/internal/config"
	"stoker/internal/oslo/amqp"
)

// Rabbit is [oslo_messaging_rabbit] as the transport takes it.
func Rabbit(r config.Rabbit) amqp.Rabbit { return rabbit(r) }

// DownTime is what a service of the process takes for service_down_time.
func (a *App) DownTime() time.Duration { return a.service("any", "any").DownTime }

// CloseDatabase takes the database away from a process that runs.
func (a *App) CloseDatabase() error { return a.db.Close() }
