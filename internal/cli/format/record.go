package format

import (
	"bytes"
	"fmt"
)

// Record is one thing with named values, in an order: an object in JSON and a
// table of fields and values.
type Record []Field

// Field is a value and its name.
type Field struct {
	Name  string
	Value any // what encoding/json takes
}

// MarshalJSON keeps the order.
func (r Record) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range r {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := marshal(f.Name, "")
		if err != nil {
			return nil, err
		}
		value, err := marshal(f.Value, "")
		if err != nil {
			return nil, err
		}
		b.Write(name) // ends with a line break, which JSON does not mind
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Table is the record as two columns.
func (r Record) Table() Table {
	t := Table{Header: []string{"Field", "Value"}}
	for _, f := range r {
		t.Rows = append(t.Rows, []string{f.Name, Cell(f.Value)})
	}
	return t
}

// Cell is a value as a table shows it: nil, also one behind a pointer, is a dash.
func Cell(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case *string:
		return pointed(v)
	case *bool:
		return pointed(v)
	case *int:
		return pointed(v)
	default:
		return fmt.Sprint(v)
	}
}

func pointed[T any](p *T) string {
	if p == nil {
		return "-"
	}
	return fmt.Sprint(*p)
}
