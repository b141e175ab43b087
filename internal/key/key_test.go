package key

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestPairs(t *testing.T) {
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := From(p.Secret); err != nil || again != p {
		t.Errorf("%v became %v, %v", p, again, err)
	}
	if other, err := New(); err != nil || other == p {
		t.Error("the same keys twice", err)
	}
	if _, err := From([32]byte{}); !errors.Is(err, ErrInvalid) {
		t.Errorf("zero: %v", err)
	}
	for _, text := range []string{fmt.Sprint(p), fmt.Sprintf("%+v", p)} {
		if !strings.Contains(text, Encode(p.Public)) || strings.Contains(text, fmt.Sprint(p.Secret)) {
			t.Errorf("printed as %s", text)
		}
	}
}

// libzyre takes a key that begins with a zero byte for none.
func TestNewAvoidsZero(t *testing.T) {
	zero := Pair{Public: [32]byte{1}}
	for secret := [32]byte{31: 1}; zero.Public[0] != 0; secret[1]++ {
		if secret[1] == 255 {
			secret[2]++
		}
		var err error
		if zero, err = From(secret); err != nil {
			t.Fatal(err)
		}
	}
	next, _ := New()
	got, err := newPair(bytes.NewReader(append(zero.Secret[:], next.Secret[:]...)))
	if err != nil || got != next {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := newPair(bytes.NewReader(zero.Secret[:])); err == nil {
		t.Error("keys without randomness")
	}
}
