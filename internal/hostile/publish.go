package hostile

import (
	"bytes"
	"fmt"
	"os"
	"slices"
)

// Publish puts text into a document, between these two lines of it.
func Publish(file, begin, text, end string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	begin, end = begin+"\n", end+"\n"
	head, rest, ok := bytes.Cut(old, []byte(begin))
	_, tail, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		return fmt.Errorf("%s has no place for %q", file, begin)
	}
	return os.WriteFile(file, slices.Concat(head, []byte(begin+text+"\n"+end), tail), 0o644)
}
