package failpoint

// Point is a place in the course of a change.
type Point string

// Points of a freeze, thaw, failover or failback, in order.
const (
	// Asked: the request is authorized; nothing is written or sent.
	Asked Point = "change-asked"
	// Marking: one row has the mark, in an uncommitted transaction; in a cluster the
	// cluster's row and the other members' do not have it yet.
	Marking Point = "change-marking"
	// Recorded: rows and journal have the intent; nothing is sent.
	Recorded Point = "change-recorded"
	// Sent: the command is delivered; the reply is not awaited yet.
	Sent Point = "change-sent"
	// Undelivered: a failover was not delivered; the rows still show it as running.
	Undelivered Point = "change-undelivered"
	// Answered: the service has answered a freeze or thaw; rows and journal do not show
	// it yet.
	Answered Point = "change-answered"
	// Settling: one row has its final state, in an uncommitted transaction; in a
	// cluster the cluster's row and the other members' do not yet.
	Settling Point = "change-settling"
	// Settled: rows and journal show the outcome; the client has no answer yet.
	Settled Point = "change-settled"
)

// Points of background work.
const (
	// TakenOver: this process has taken over another one's operation; nothing else is
	// done.
	TakenOver Point = "recovery-taken-over"
	// UndoRecorded: an operation whose command was carried out late is open again; the
	// opposite command is not sent yet.
	UndoRecorded Point = "undo-recorded"
	// UndoAnswered: the opposite command was carried out; rows and journal do not show
	// it yet.
	UndoAnswered Point = "undo-answered"
	// UndoSettled: rows and journal show it.
	UndoSettled Point = "undo-settled"
	// PuttingBack: it is proven that no live process can execute the failover; the rows
	// still show it as running.
	PuttingBack Point = "put-back-proven"
	// PutBack: the rows are restored, and the journal has the reason.
	PutBack Point = "put-back-settled"
	// TellingRecorded: the journal says that members of a cluster must be told of a
	// failover; whether they know by now is not checked yet.
	TellingRecorded Point = "telling-recorded"
	// Telling: the attempt is counted; nothing is sent yet.
	Telling Point = "telling-counted"
	// Told: the message to the members is delivered; whether they agree is not checked
	// yet.
	Told Point = "telling-delivered"
)

// Points returns all points.
func Points() []Point {
	return []Point{
		Asked, Marking, Recorded, Sent, Undelivered, Answered, Settling, Settled,
		TakenOver, UndoRecorded, UndoAnswered, UndoSettled, PuttingBack, PutBack, TellingRecorded, Telling, Told,
	}
}
