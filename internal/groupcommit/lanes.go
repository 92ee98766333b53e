package groupcommit

// none is no lane.
const none = -1

// lanes are the queues of a Committer and whose turn it is.
type lanes[T any] struct {
	queues    [][]*call[T]
	listed    []bool // waits for its turn
	busy      []bool // one of its batches is being committed, or gathers
	gathering []gathering
	turns     []int // the lanes that wait, the longest waiting first
	shared    bool  // a lane may have several batches at work
}

func newLanes[T any](n int) lanes[T] {
	return lanes[T]{queues: make([][]*call[T], n), listed: make([]bool, n), busy: make([]bool, n), gathering: make([]gathering, n)}
}

func (l *lanes[T]) waiting() bool { return len(l.turns) > 0 }

func (l *lanes[T]) add(lane int, cl *call[T]) {
	l.queues[lane] = append(l.queues[lane], cl)
	l.gathering[lane].arrived(len(l.queues[lane]))
	l.list(lane)
}

// list gives a lane a turn if it needs one and may have it.
//
// Invariant: a lane that has work is listed, or busy and not shared; done lists
// it then.
func (l *lanes[T]) list(lane int) {
	if len(l.queues[lane]) == 0 || l.listed[lane] || l.busy[lane] && !l.shared {
		return
	}
	l.listed[lane] = true
	l.turns = append(l.turns, lane)
}

func (l *lanes[T]) done(lane int) {
	if lane != none {
		l.busy[lane] = false
		l.list(lane)
	}
}

// take moves up to limit calls of the lane whose turn it is into batch.
func (l *lanes[T]) take(batch []*call[T], limit int) ([]*call[T], int) {
	if len(l.turns) == 0 {
		return batch, none
	}
	lane := l.turns[0]
	l.turns = append(l.turns[:0], l.turns[1:]...)
	l.listed[lane], l.busy[lane] = false, true
	q := l.queues[lane]
	n := min(len(q), limit)
	batch = append(batch, q[:n]...)
	rest := copy(q, q[n:])
	clear(q[rest:])
	l.queues[lane] = q[:rest]
	l.list(lane)
	return batch, lane
}
