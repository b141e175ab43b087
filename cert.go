package zyre

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/gozyre/zyre/internal/key"
	"github.com/gozyre/zyre/internal/rule"
)

// Cert is a node's certificate for CURVE (RFC 26): a pair of keys, and
// whatever metadata it carries. A Cert that was loaded from a public file has
// no secret key: it cannot be a node's own, but names one to allow.
//
// Certificates are those of czmq: files that its zcert wrote can be loaded,
// and it can load what Save writes.
type Cert struct {
	pair     key.Pair
	Metadata map[string]string
}

// NewCert makes a certificate with new keys.
func NewCert() (Cert, error) {
	pair, err := key.New()
	return Cert{pair: pair}, err
}

// CertFromSecret returns the certificate of a secret key in Z85.
func CertFromSecret(secretKey string) (Cert, error) {
	secret, err := key.Decode(secretKey)
	if err != nil {
		return Cert{}, fmt.Errorf("%w: secret key: %w", ErrInvalid, err)
	}
	pair, err := key.From(secret)
	if err != nil {
		return Cert{}, fmt.Errorf("%w: secret key: %w", ErrInvalid, err)
	}
	return Cert{pair: pair}, nil
}

// PublicKey returns the public key in Z85: 40 characters to give to others.
func (c Cert) PublicKey() string { return key.Encode(c.pair.Public) }

// SecretKey returns the secret key in Z85, or "" if it is not known.
func (c Cert) SecretKey() string {
	if !c.hasSecret() {
		return ""
	}
	return key.Encode(c.pair.Secret)
}

func (c Cert) hasSecret() bool { return c.pair.Secret != [32]byte{} }

// String returns the public key, so that no log shows the secret one.
func (c Cert) String() string { return c.PublicKey() }

// GoString is String for %#v.
func (c Cert) GoString() string { return "zyre.Cert{" + c.PublicKey() + "}" }

// LoadCert reads a certificate file of czmq. As czmq it takes the secret one,
// path with "_secret" behind it, if there is one that may be read.
func LoadCert(path string) (Cert, error) {
	text, err := os.ReadFile(path + "_secret")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return Cert{}, err
	}
	c, err := parseCert(string(text))
	if err != nil {
		return Cert{}, fmt.Errorf("certificate %s: %w", path, err)
	}
	return c, nil
}

// Save writes the certificate as czmq does: the public key to path, and both
// keys to path with "_secret" behind it, which only the owner may read.
// Metadata that such a file cannot hold is [ErrInvalid].
func (c Cert) Save(path string) error {
	for name, value := range c.Metadata {
		if name == "" || strings.ContainsAny(name, "=\"'#\r\n\t ") || strings.ContainsAny(value, "\"\r\n") {
			return rule.Invalid("metadata "+name, value, "cannot be written to a certificate")
		}
	}
	if c.hasSecret() {
		if err := writeSecret(path+"_secret", c.text(true)); err != nil {
			return err
		}
	}
	return os.WriteFile(path, []byte(c.text(false)), 0o644)
}

// writeSecret writes a file that only the owner may read, also where there is
// one already that others may.
func writeSecret(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = f.Chmod(0o600)
	if err == nil {
		_, err = f.WriteString(text)
	}
	return errors.Join(err, f.Close())
}

func (c Cert) text(secret bool) string {
	var b strings.Builder
	b.WriteString("#   ZeroMQ CURVE certificate\n")
	if secret {
		b.WriteString("#   This file has the secret key: show it to nobody.\n")
	}
	b.WriteString("metadata\n")
	for _, name := range slices.Sorted(maps.Keys(c.Metadata)) {
		fmt.Fprintf(&b, "    %s = \"%s\"\n", name, c.Metadata[name])
	}
	fmt.Fprintf(&b, "curve\n    public-key = \"%s\"\n", c.PublicKey())
	if secret {
		fmt.Fprintf(&b, "    secret-key = \"%s\"\n", c.SecretKey())
	}
	return b.String()
}

// parseCert reads the ZPL (RFC 4) of a certificate: sections, and below them
// indented lines of a name, "=" and a value that may be quoted.
func parseCert(text string) (c Cert, err error) {
	c.Metadata = map[string]string{}
	section, public := "", ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \t\r\n")
		body := strings.TrimLeft(line, " \t")
		if body == "" || body[0] == '#' {
			continue
		}
		if body == line {
			section = body
			continue
		}
		name, value, ok := strings.Cut(body, "=")
		if !ok {
			continue
		}
		name, value = strings.TrimSpace(name), unquote(strings.TrimSpace(value))
		switch {
		case section == "metadata":
			c.Metadata[name] = value
		case section == "curve" && name == "public-key":
			public = value
		case section == "curve" && name == "secret-key":
			if c.pair.Secret, err = key.Decode(value); err != nil {
				return Cert{}, fmt.Errorf("%w: secret-key: %w", ErrInvalid, err)
			}
		}
	}
	if c.pair.Public, err = key.Decode(public); err != nil {
		return Cert{}, fmt.Errorf("%w: public-key: %w", ErrInvalid, err)
	}
	return c, c.fits()
}

// fits tells whether the keys belong together.
func (c Cert) fits() error {
	if !c.hasSecret() {
		return nil
	}
	pair, err := key.From(c.pair.Secret)
	if err != nil || pair.Public != c.pair.Public {
		return rule.Invalid("certificate", c.PublicKey(), "has a secret key that does not belong to the public one")
	}
	return nil
}

// unquote takes the quotes from a value, which end it, and else a comment.
func unquote(s string) string {
	if s != "" && (s[0] == '"' || s[0] == '\'') {
		if end := strings.IndexByte(s[1:], s[0]); end >= 0 {
			return s[1 : 1+end]
		}
	}
	s, _, _ = strings.Cut(s, " #")
	return strings.TrimSpace(s)
}
