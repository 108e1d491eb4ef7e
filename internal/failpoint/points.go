package failpoint

// Point is a place in a change.
type Point string

// The points of a request that freezes, thaws, fails over or back, in order.
const (
	// Asked: the request is let in; nothing is written or sent.
	Asked Point = "change-asked"
	// Marking: one row marks the intent, in a transaction that is not committed;
	// of a cluster the other members' rows, and its own, do not yet.
	Marking Point = "change-marking"
	// Recorded: rows and journal say what is intended; nothing is sent.
	Recorded Point = "change-recorded"
	// Sent: the command is delivered; nobody has waited for what becomes of it.
	Sent Point = "change-sent"
	// Undelivered: nobody listens for a failover; the rows still say that it is
	// under way.
	Undelivered Point = "change-undelivered"
	// Answered: the service has answered a freeze or thaw; neither rows nor
	// journal say so.
	Answered Point = "change-answered"
	// Settling: one row is as it shall be in the end, in a transaction that is not
	// committed; of a cluster the other members' rows, and its own, are not yet.
	Settling Point = "change-settling"
	// Settled: rows and journal say how it ended; the client is not told.
	Settled Point = "change-settled"
)

// The points of what a process does unasked.
const (
	// TakenOver: an operation of another process is ours; nothing is done about it.
	TakenOver Point = "recovery-taken-over"
	// UndoRecorded: an operation whose command was carried out late is open again;
	// the opposite command is not sent.
	UndoRecorded Point = "undo-recorded"
	// UndoAnswered: the opposite command is carried out; rows and journal do not
	// say so.
	UndoAnswered Point = "undo-answered"
	// UndoSettled: rows and journal say so.
	UndoSettled Point = "undo-settled"
	// PuttingBack: it is proven that nobody is left to carry a failover out; the
	// rows still say that it is under way.
	PuttingBack Point = "put-back-proven"
	// PutBack: the rows are as before it, and the journal says why.
	PutBack Point = "put-back-settled"
	// TellingRecorded: it is on record that members of a cluster have to be told
	// of a failover; whether they have heard by now is not looked at.
	TellingRecorded Point = "telling-recorded"
	// Telling: an attempt is counted; nobody is told.
	Telling Point = "telling-counted"
	// Told: the message to the members is delivered; whether they agree is not
	// looked at.
	Told Point = "telling-delivered"
)

// Points are all of them.
func Points() []Point {
	return []Point{
		Asked, Marking, Recorded, Sent, Undelivered, Answered, Settling, Settled,
		TakenOver, UndoRecorded, UndoAnswered, UndoSettled, PuttingBack, PutBack, TellingRecorded, Telling, Told,
	}
}
