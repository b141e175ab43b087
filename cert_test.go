package zyre

import (
	"strings"
	"testing"
)

// FuzzCert reads certificate files: what is read and written again is the same.
func FuzzCert(f *testing.F) {
	c, err := NewCert()
	if err != nil {
		f.Fatal(err)
	}
	c.Metadata = map[string]string{"name": "alice"}
	f.Add([]byte(c.text(true)))
	f.Add([]byte(c.text(false)))
	f.Add([]byte("curve\n    public-key = '" + c.PublicKey() + "' # mine\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parseCert(string(text))
		if err != nil {
			return
		}
		c.Metadata = nil // whose values may have any quotes
		for _, secret := range []bool{false, c.hasSecret()} {
			again, err := parseCert(c.text(secret))
			if err != nil || again.pair.Public != c.pair.Public || secret && again.pair != c.pair {
				t.Fatalf("%q is written as %q: %v", text, c.text(secret), err)
			}
			if c.hasSecret() && strings.Contains(c.String(), c.SecretKey()) {
				t.Fatal("shows its secret")
			}
		}
	})
}
