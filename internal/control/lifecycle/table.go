package lifecycle

import "stoker/internal/cinder"

// Table has the transitions in order of precedence.
func Table() []Transition {
	return append(append(freezeTable(), failoverTable()...), completionTable()...)
}

func freezeTable() []Transition {
	kinds := []cinder.OperationKind{cinder.OpFreeze, cinder.OpThaw}
	commanded, monitoring, compensating := []Phase{Commanded}, []Phase{Monitoring}, []Phase{Compensating}
	const givenUp = "; carried out late by {hosts}; the {command} that would undo it has failed {attempts} times and is given up: {error}"
	return []Transition{
		{kinds, commanded, Answered, Done, []Effect{ApplyCommand}, ""},
		{kinds, commanded, NoReply | RowsShowIt, Done, []Effect{ApplyCommand}, "no answer, but the row shows that it was carried out"},
		{kinds, commanded, NoReply | TooEarly, "", nil, ""},
		{kinds, commanded, NoReply, Monitoring, []Effect{SuspectHidden, RestoreRows, Monitor}, "{error}"},
		// Half-way; or an earlier command, which was given up, came late.
		{kinds, commanded, Refused | RowsShowIt, Monitoring, []Effect{SuspectShowing, RestoreRows, Monitor}, "{error}"},
		{kinds, commanded, Refused, RolledBack, []Effect{RestoreRows}, "{error}"},

		{kinds, monitoring, Aborted, RolledBack, nil, "; no longer monitored: {error}"},
		{kinds, monitoring, Busy, "", nil, ""},
		{kinds, monitoring, Late, Compensating, []Effect{Reopen}, ""},
		{kinds, monitoring, MonitoringOver, RolledBack, nil, "; nor was it carried out later"},

		{kinds, compensating, Answered, RolledBack, []Effect{ShowRows}, "; carried out late by {hosts}, and undone by a {command}"},
		{kinds, compensating, NoReply | Exhausted, Failed, []Effect{Retry}, givenUp},
		{kinds, compensating, Refused | Exhausted, Failed, []Effect{Retry}, givenUp},
		{kinds, compensating, NoReply, Monitoring, []Effect{Retry}, ""},
		{kinds, compensating, Refused, Monitoring, []Effect{Retry}, ""},
	}
}

// How failovers end.
const (
	saysArrived  = "active backend: {site}"
	saysFailed   = "the backend failed to fail over: see the log of the service"
	saysStayed   = "the service stays on {site}: it refused the target, was not told in time, or has restarted: see its log"
	saysReplaced = "status is {status} on {site}: changed from elsewhere"
)

func failoverTable() []Transition {
	kinds := []cinder.OperationKind{cinder.OpFailover}
	open, commanded, monitoring := []Phase{Commanded, Telling}, []Phase{Commanded}, []Phase{Monitoring}
	ended := []Effect{SettleStatus, FollowRows, SuspectMonitored}
	late := []Effect{FollowRows, SuspectMonitored} // and it stays: the data are where they are
	const yet = "; yet the service has gone on: "
	return []Transition{
		{kinds, open, NotSent, RolledBack, []Effect{RestoreStatus}, "{error}"},
		{kinds, open, NobodyLeft, Monitoring, []Effect{RestoreStatus, Monitor}, "{error}"},
		{kinds, open, Busy, "", nil, ""},
		{kinds, commanded, MembersBehind, Telling, []Effect{GiveGrace}, ""},
		{kinds, open, Running | DeadlinePassed, "", nil, "overdue: no outcome by the deadline"},
		{kinds, open, Running, "", nil, ""},
		{kinds, open, Arrived, Done, ended, saysArrived},
		{kinds, open, FailoverFailed, Failed, ended, saysFailed},
		{kinds, open, Stayed, RolledBack, ended, saysStayed},
		{kinds, open, Replaced, RolledBack, ended, saysReplaced},
		{kinds, open, Removed, RolledBack, ended, "the service was removed meanwhile"},

		{kinds, monitoring, Superseded, RolledBack, nil, "; no longer monitored: operation {by} has begun"},
		{kinds, monitoring, Aborted, RolledBack, nil, "; no longer monitored: {error}"},
		{kinds, monitoring, Busy, "", nil, ""},
		{kinds, monitoring, Moved | Arrived, Done, late, yet + saysArrived},
		{kinds, monitoring, Moved | FailoverFailed, Failed, late, yet + saysFailed},
		{kinds, monitoring, Moved | Stayed, RolledBack, late, yet + saysStayed},
		{kinds, monitoring, Moved | Replaced, RolledBack, late, yet + saysReplaced},
		{kinds, monitoring, MonitoringOver, RolledBack, nil, "; nor was it carried out later"},
	}
}

func completionTable() []Transition {
	kinds, telling := []cinder.OperationKind{cinder.OpCompletion}, []Phase{Telling}
	return []Transition{
		{kinds, telling, Busy, "", nil, ""},
		{kinds, telling, ClusterMovedOn, RolledBack, nil, "the cluster has gone on meanwhile"},
		{kinds, telling, MembersAgree, Done, []Effect{DisableMissed, FollowRows}, "every member agrees"},
		{kinds, telling, NobodyListens, RolledBack, nil, "the members that disagree are down: they are told once they are up"},
		{kinds, telling, Exhausted, Failed, nil, "told {attempts} times, and a member still disagrees: restart it"},
		{kinds, telling, MembersBehind, "", []Effect{SettleStatus, TellMembers}, ""},
	}
}
