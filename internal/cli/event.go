package cli

type eventCmd struct {
	Watch eventWatchCmd `cmd:"" help:"Print what changes, as it changes."`
}
