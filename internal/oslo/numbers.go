package oslo

import "bytes"

// standardJSON converts Python's JSON to standard JSON: NaN, Infinity and -Infinity,
// which a driver may have computed, become null, so that the rest of the message can be
// read.
func standardJSON(text []byte) []byte {
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
			if word := nonFinite(text[i:]); word > 0 {
				out, i = append(out, "null"...), i+word
				continue
			}
		}
		out, i = append(out, text[i:i+n]...), i+n
	}
	return out
}

// quoted is the length of the string at the start of text, with its quotes; the length
// of text if the string does not end.
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

// nonFinite is the length of the NaN, Infinity or -Infinity at the start of text; else
// 0.
func nonFinite(text []byte) int {
	for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
		if bytes.HasPrefix(text, []byte(word)) {
			return len(word)
		}
	}
	return 0
}
