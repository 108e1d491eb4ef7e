package app

// CloseDatabase takes the database away from a process that runs.
func (a *App) CloseDatabase() error { return a.db.Close() }
