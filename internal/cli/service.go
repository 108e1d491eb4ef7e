package cli

type serviceCmd struct {
	List     serviceListCmd     `cmd:"" help:"List services."`
	Enable   serviceEnableCmd   `cmd:"" help:"Enable a service."`
	Disable  serviceDisableCmd  `cmd:"" help:"Disable a service: it gets no new volumes."`
	Freeze   serviceFreezeCmd   `cmd:"" help:"Freeze a backend: what it holds stays as it is."`
	Thaw     serviceThawCmd     `cmd:"" help:"End a freeze."`
	Targets  serviceTargetsCmd  `cmd:"" help:"List where volume services can be failed over to."`
	Failover serviceFailoverCmd `cmd:"" help:"Move a replicated backend to another site, or back."`
}
