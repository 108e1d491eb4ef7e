package oslo

import "bytes"

// standard is JSON as Python writes it made JSON as the standard has it: Python
// writes NaN, Infinity and -Infinity, which a driver may have computed, where no
// number can stand. They become null: what else the message says counts.
func standard(text []byte) []byte {
	if !bytes.Contains(text, []byte("NaN")) && !bytes.Contains(text, []byte("Infinity")) {
		return text
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		n := 1
		switch text[i] {
		case '"':
			n = quoted(text[i:])
		case 'N', 'I', '-':
			if word := noNumber(text[i:]); word > 0 {
				out, i = append(out, "null"...), i+word
				continue
			}
		}
		out, i = append(out, text[i:i+n]...), i+n
	}
	return out
}

// quoted is the length of the string that text begins with, quotes included, or
// of all when it does not end.
func quoted(text []byte) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// noNumber is the length of the word that text begins with, when it is one that
// Python writes for what is no number; else 0.
func noNumber(text []byte) int {
	for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
		if bytes.HasPrefix(text, []byte(word)) {
			return len(word)
		}
	}
	return 0
}
