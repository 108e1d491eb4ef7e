package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"stoker/internal/printable"
)

// ask puts a question to whoever is at the terminal. Only yes is yes: it fails when the answer is
// another, or when nobody is there to give one.
func ask(p Process, question string) error {
	fmt.Fprint(p.Stderr, printable.Text(question), " [y/N] ")
	line := ""
	if p.Stdin != nil {
		var err error
		line, err = bufio.NewReader(io.LimitReader(p.Stdin, 1024)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read the answer: %w", err)
		}
	}
	if !strings.HasSuffix(line, "\n") { // nobody has ended the line of the question
		fmt.Fprintln(p.Stderr)
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	case "":
		return errors.New("nothing was done: --yes goes ahead without a question")
	default:
		return errors.New("nothing was done")
	}
}
