package app

import (
	"stoker/internal/config"
	"stoker/internal/policy"
)

// PolicyOptions are [oslo_policy] as policy takes it, without a log.
func PolicyOptions(c config.Config) policy.Options {
	p := c.Policy
	return policy.Options{
		File: p.File, Dirs: p.Dirs, Find: c.Find, DefaultRule: p.DefaultRule,
		EnforceScope: p.EnforceScope, EnforceNewDefaults: p.EnforceNewDefaults,
		Remote: policy.Remote{
			ContentType: p.RemoteContentType, VerifyServer: p.RemoteVerify,
			CAFile: p.RemoteCAFile, CertFile: p.RemoteCertFile, KeyFile: p.RemoteKeyFile,
		},
	}
}
