package store

import "stoker/internal/cinder"

// Rows keep the words of the first release, so that processes of it and of newer
// ones work side by side on one journal. Everybody else reads the words of today.

func stored[T ~string](word T) string {
	switch string(word) {
	case string(cinder.OpMonitoring):
		return "watched"
	case string(cinder.OpRolledBack):
		return "undone"
	case string(cinder.OpRestoreDisable):
		return "give-back"
	default:
		return string(word)
	}
}

func read[T ~string](word string) T {
	switch word {
	case "watched":
		return T(cinder.OpMonitoring)
	case "undone":
		return T(cinder.OpRolledBack)
	case "give-back":
		return T(cinder.OpRestoreDisable)
	default:
		return T(word)
	}
}

// storedWord is stored for a filter that may be left out.
func storedWord(word *string) *string {
	if word == nil {
		return nil
	}
	return new(stored(*word))
}
