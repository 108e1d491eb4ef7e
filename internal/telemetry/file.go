package telemetry

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
)

// File is a log file that can be reopened after log rotation has renamed it. It is safe
// for concurrent use.
type File struct {
	path string

	mu sync.Mutex // guards f
	f  *os.File
}

// OpenFile opens the file for appending, and creates it if necessary.
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

// foreignWindow is how much of the end of a log Foreign reads, in bytes.
const foreignWindow = 8 << 10

// Foreign reports whether another program writes to the log file too, that is whether a
// line near its end is not one of our loggers'. It returns false for a file that does
// not exist or cannot be read.
func Foreign(path string) bool {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() { // opening a pipe may block
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	begin := max(0, info.Size()-foreignWindow)
	text, err := io.ReadAll(io.NewSectionReader(f, begin, foreignWindow))
	if err != nil {
		return false
	}
	if begin > 0 { // the first line may be incomplete
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	for line := range bytes.Lines(text) {
		if !ours(line) {
			return true
		}
	}
	return false
}

// ours reports whether a program of Stoker wrote the line.
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

// Reopen opens the file at the path again. On an error, the log continues in the
// current file.
func (f *File) Reopen() error {
	reopened, err := open(f.path)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.f
	f.f = reopened
	return old.Close()
}

// Close closes the file; writes fail from then on.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.f.Close()
}
