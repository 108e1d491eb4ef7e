package telemetry

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
)

// File is a log file that can be opened again, for programs that move log files
// away while they are written. It is safe for concurrent use.
type File struct {
	path string

	mu sync.Mutex // guards f
	f  *os.File
}

// OpenFile opens the file to write at its end, and makes it when it is not there.
func OpenFile(path string) (*File, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	return &File{path: path, f: f}, nil
}

func open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, fmt.Errorf("log file: %w", err)
	}
	return f, nil
}

// lookedAt is how much of the end of a log tells whose it is, in bytes.
const lookedAt = 8 << 10

// Foreign says whether another program writes to the log file as well: near its
// end is a line that no logger of ours has written. It is false of a file that
// is not there or cannot be read.
func Foreign(path string) bool {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() { // to open a pipe may take for ever
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	begin := max(0, info.Size()-lookedAt)
	text, err := io.ReadAll(io.NewSectionReader(f, begin, lookedAt))
	if err != nil {
		return false
	}
	if begin > 0 { // in the midst of a line
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	for line := range bytes.Lines(text) {
		if !ours(line) {
			return true
		}
	}
	return false
}

// ours says whether a line is one that programs of Stoker write to their logs.
func ours(line []byte) bool {
	return slices.ContainsFunc([]string{"time=", `{"time":`, "stoker:"}, func(start string) bool {
		return bytes.HasPrefix(line, []byte(start))
	})
}

// Write implements io.Writer.
func (f *File) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.f.Write(p)
}

// Reopen opens the file of that name again. When that fails, the log goes on
// where it went so far.
func (f *File) Reopen() error {
	again, err := open(f.path)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.f
	f.f = again
	return old.Close()
}

// Close closes the file. Nothing may be written any more.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.f.Close()
}
