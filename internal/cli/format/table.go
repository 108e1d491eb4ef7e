package format

import (
	"io"
	"strings"
	"unicode"

	"stoker/internal/printable"
)

// Table is a table of text.
type Table struct {
	Header []string
	Rows   [][]string // as long as Header
	Right  []int      // columns that are aligned to the right: numbers
}

// write draws the table as Python's prettytable does, two borders under the
// header of an empty one included.
func (t Table) write(w io.Writer) error {
	widths := make([]int, len(t.Header))
	rows := [][][]string{lines(t.Header)}
	for _, r := range t.Rows {
		rows = append(rows, lines(r))
	}
	for _, r := range rows {
		for i, cell := range r {
			for _, line := range cell {
				widths[i] = max(widths[i], Width(line))
			}
		}
	}
	right := map[int]bool{}
	for _, i := range t.Right {
		right[i] = true
	}
	var b strings.Builder
	border(&b, widths)
	for i, r := range rows {
		row(&b, r, widths, right)
		if i == 0 {
			border(&b, widths)
		}
	}
	border(&b, widths)
	_, err := io.WriteString(w, b.String())
	return err
}

// lines are the lines of each cell, with what a terminal would obey or hide escaped.
func lines(cells []string) [][]string {
	split := make([][]string, len(cells))
	for i, c := range cells {
		for line := range strings.SplitSeq(strings.ReplaceAll(c, "\r\n", "\n"), "\n") {
			split[i] = append(split[i], printable.Text(line))
		}
	}
	return split
}

func border(b *strings.Builder, widths []int) {
	for _, w := range widths {
		b.WriteString("+" + strings.Repeat("-", w+2))
	}
	b.WriteString("+\n")
}

func row(b *strings.Builder, cells [][]string, widths []int, right map[int]bool) {
	height := 1
	for _, c := range cells {
		height = max(height, len(c))
	}
	for line := range height {
		for i, c := range cells {
			text := ""
			if line < len(c) {
				text = c[line]
			}
			pad := strings.Repeat(" ", widths[i]-Width(text))
			if right[i] {
				b.WriteString("| " + pad + text + " ")
			} else {
				b.WriteString("| " + text + pad + " ")
			}
		}
		b.WriteString("|\n")
	}
}

// Width is how many columns of a terminal s takes.
func Width(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		case wide(r):
			n += 2
		default:
			n++
		}
	}
	return n
}

// wide says whether terminals give r two columns: the East Asian scripts and the
// symbols that Unicode counts as wide with them.
func wide(r rune) bool {
	switch {
	case r < 0x1100:
		return false
	case r <= 0x115f, // Hangul initials
		r >= 0x2e80 && r <= 0x303e, // radicals, CJK punctuation
		r >= 0x3041 && r <= 0xa4cf, // kana to Yi
		r >= 0xa960 && r <= 0xa97c, // more Hangul initials
		r >= 0xac00 && r <= 0xd7a3, // Hangul syllables
		r >= 0xf900 && r <= 0xfaff, // compatibility ideographs
		r >= 0xfe30 && r <= 0xfe6f, // vertical and small forms
		r >= 0xff01 && r <= 0xff60, // full width
		r >= 0xffe0 && r <= 0xffe6,
		r >= 0x1f300 && r <= 0x1f64f, // pictures
		r >= 0x1f680 && r <= 0x1f6ff,
		r >= 0x1f900 && r <= 0x1f9ff,
		r >= 0x20000 && r <= 0x3fffd: // further ideographs
		return true
	}
	return false
}
