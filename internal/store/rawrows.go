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

// fetcher reads whole results without decoding them, and can tell whether that is
// necessary.
type fetcher interface {
	// fetch appends the results of plainServices and openOperations from one snapshot,
	// and returns the state of that snapshot. After an error the connection may be in
	// any state.
	fetch(ctx context.Context, conn *sql.Conn, services, open *rawRows) (state string, err error)
	// state identifies the contents of the database: equal states mean equal contents.
	// "" when the engine has no such thing.
	state(ctx context.Context, conn *sql.Conn) (string, error)
}

// rawRows is an undecoded result. Each cell is its length plus one (0 for NULL) and its
// bytes. Comparing two results takes microseconds, decoding one takes milliseconds.
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

// add is addBytes for any value that a driver returns.
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

// row returns the bytes of row i; nil when there is none.
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

// load makes c read this row.
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
