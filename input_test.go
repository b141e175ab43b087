package zyre

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A UUID of any length is read or refused: it may come from anybody, in JSON.
func TestUUIDOfAnyLength(t *testing.T) {
	for n := range 100 {
		var u UUID
		if err := u.UnmarshalText([]byte(strings.Repeat("a", n))); (err == nil) != (n == 32) {
			t.Errorf("%d digits: %v", n, err)
		}
	}
}

// What no peer could connect to, or would refuse, is refused at once.
func TestOptionsThatHideANode(t *testing.T) {
	many := make([]Option, 0, 9)
	for i := range cap(many) {
		many = append(many, WithHeader(fmt.Sprint("X-", i), strings.Repeat("v", 60<<10)))
	}
	for name, opts := range map[string][]Option{
		"hub without a scheme":                 {WithGossipConnect("127.0.0.1:5680")},
		"hub at port 0":                        {WithGossipConnect("tcp://127.0.0.1:0")},
		"hub everywhere":                       {WithGossipConnect("tcp://*:5680")},
		"hub without a port":                   {WithGossipConnect("tcp://127.0.0.1")},
		"own hub without a host":               {WithGossipBind("tcp://:5680")},
		"advertised without a scheme":          {WithAdvertisedEndpoint("192.168.1.7:6000")},
		"advertised everywhere":                {WithAdvertisedEndpoint("tcp://0.0.0.0:6000")},
		"advertised at a privileged port":      {WithAdvertisedEndpoint("tcp://192.168.1.7:443")},
		"a privileged port for peers":          {WithPeerPort(443)},
		"endpoint without a scheme":            {WithEndpoint("127.0.0.1:6000")},
		"endpoint at a privileged port":        {WithEndpoint("tcp://127.0.0.1:443")},
		"endpoint at a port that is none":      {WithEndpoint("tcp://127.0.0.1:66000")},
		"more headers than fit into one HELLO": many,
	} {
		_, err := New("n", opts...)
		wantError(t, name, err, ErrInvalid)
	}
	for _, good := range []Option{
		WithEndpoint("tcp://*:*"), WithEndpoint("tcp://[::1]:6000"), WithEndpoint("ipc:///tmp/x"), WithEndpoint("tcp://eth0:6000"),
		WithGossipBind("tcp://*:5680"), WithGossipConnect("tcp://hub.example:80"), WithAdvertisedEndpoint("tcp://[2001:db8::7]:6000"),
	} {
		if err := good(&config{}); err != nil {
			t.Error(err)
		}
	}
}

// The secret key is the owner's alone, also in a file that was there before.
func TestSecretStaysSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cert")
	if err := os.WriteFile(path+"_secret", []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := NewCert()
	if err == nil {
		err = c.Save(path)
	}
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path + "_secret")
	if err != nil {
		t.Fatal(err)
	}
	if os.PathSeparator == '/' && info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v", info.Mode())
	}
}

// Metadata comes back as it was, or is refused.
func TestMetadataOfCert(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cert")
	c, err := NewCert()
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 100<<10)
	c.Metadata = map[string]string{"note": long}
	if err := c.Save(path); err != nil {
		t.Fatal(err)
	}
	if again, err := LoadCert(path); err != nil || again.Metadata["note"] != long || again.SecretKey() != c.SecretKey() {
		t.Errorf("a long line: %v", err)
	}
	for _, bad := range []map[string]string{{"note": "a \" quote"}, {"note": "two\nlines"}, {"a = b": "c"}, {"": "c"}} {
		c.Metadata = bad
		wantError(t, fmt.Sprint(bad), c.Save(path), ErrInvalid)
	}
}

func wantError(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got error %v, want %v", what, err, want)
	}
}
