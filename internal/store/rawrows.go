package store

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"strconv"
	"time"
)

// fetcher reads a whole result as it comes, and says whether that is necessary.
type fetcher interface {
	// fetch appends plainServices and openOperations as they are at one moment,
	// and returns the state of that moment. After an error the connection may be
	// in any state.
	fetch(ctx context.Context, conn *sql.Conn, services, open *rawRows) (state string, err error)
	// state is a text that is never the same for two states of the database; ""
	// when there is none.
	state(ctx context.Context, conn *sql.Conn) (string, error)
}

// rawRows is a result as it came: each cell one more than its length, 0 for
// NULL, and then its bytes. To compare two takes microseconds, to decode one
// takes milliseconds.
type rawRows struct {
	cells []byte
	ends  []int // of the rows
}

func (r *rawRows) reset() { r.cells, r.ends = r.cells[:0], r.ends[:0] }

func (r *rawRows) end() { r.ends = append(r.ends, len(r.cells)) }

func (r *rawRows) addBytes(cell []byte) {
	if cell == nil {
		r.cells = append(r.cells, 0)
		return
	}
	r.cells = binary.AppendUvarint(r.cells, uint64(len(cell))+1)
	r.cells = append(r.cells, cell...)
}

// add is addBytes for whatever a driver makes of a cell.
func (r *rawRows) add(cell driver.Value) {
	var digits [32]byte
	switch v := cell.(type) {
	case []byte:
		r.addBytes(v)
	case int64:
		r.addBytes(strconv.AppendInt(digits[:0], v, 10))
	case uint64:
		r.addBytes(strconv.AppendUint(digits[:0], v, 10))
	case string:
		r.addBytes([]byte(v))
	case bool:
		r.addBytes(strconv.AppendBool(digits[:0], v))
	case float32:
		r.addBytes(strconv.AppendFloat(digits[:0], float64(v), 'g', -1, 32))
	case float64:
		r.addBytes(strconv.AppendFloat(digits[:0], v, 'g', -1, 64))
	case time.Time:
		r.addBytes(v.AppendFormat(nil, timeLayout))
	default:
		r.addBytes(nil)
	}
}

// row is the bytes of a row; nil when there is none of that number.
func (r *rawRows) row(i int) []byte {
	switch {
	case r == nil || i >= len(r.ends):
		return nil
	case i == 0:
		return r.cells[:r.ends[0]]
	default:
		return r.cells[r.ends[i-1]:r.ends[i]]
	}
}

func (r *rawRows) equal(other *rawRows) bool {
	return other != nil && len(r.ends) == len(other.ends) && bytes.Equal(r.cells, other.cells)
}

// load makes a row the one that c reads.
func (c *cells) load(row []byte) {
	c.next = 0
	for i := range c.values {
		n, size := binary.Uvarint(row)
		row = row[size:]
		if n == 0 {
			c.values[i] = nil
			continue
		}
		c.values[i] = row[:n-1]
		row = row[n-1:]
	}
}
