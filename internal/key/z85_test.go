package key

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// The pairs of the zmq_curve manual page of libzmq.
var manualKeys = []struct{ hex, z85 string }{
	{"bb88471d65e2659b30c55a5321cebb5aab2b70a398645c26dca2b2fcb43fc518", "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"},
	{"7bb864b489afa3671fbe69101f94b38972f24816dfb01b51656b3fec8dfd0888", "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"},
	{"54fcba24e93249969316fb617c872bb0c1d1ff14800427c594cbfacf1bc2d652", "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"},
	{"8e0bdd697628b91d8f245587ee95c5b04d48963f79259877b49cd9063aead3b7", "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"},
}

func TestZ85(t *testing.T) {
	for _, k := range manualKeys {
		raw, err := hex.DecodeString(k.hex)
		if err != nil {
			t.Fatal(err)
		}
		if got := Encode([32]byte(raw)); got != k.z85 {
			t.Errorf("%s became %s", k.hex, got)
		}
		if got, err := Decode(k.z85); err != nil || got != [32]byte(raw) {
			t.Errorf("%s became %x, %v", k.z85, got, err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := manualKeys[0].z85
	tests := map[string]string{
		"nothing":            "",
		"a character less":   good[1:],
		"a character more":   good + "0",
		"a line feed":        good[:39] + "\n",
		"spaces around":      " " + good[:38] + " ",
		"a zero byte":        good[:39] + "\x00",
		"no digit":           good[:39] + "~",
		"a comma":            "," + good[1:],
		"not ASCII":          good[:38] + "é",
		"hex":                manualKeys[0].hex,
		"2^32 in five":       good[:35] + "%nSc1",
		"largest five":       "#####" + good[5:],
		"only largest":       strings.Repeat("#", 40),
		"a quoted character": `"` + good[:39],
	}
	for name, text := range tests {
		if key, err := Decode(text); !errors.Is(err, ErrInvalid) || key != [32]byte{} {
			t.Errorf("%s: %x, %v", name, key, err)
		}
	}
	if key, err := Decode(good[:35] + "%nSc0"); err != nil || [4]byte(key[28:]) != [4]byte{255, 255, 255, 255} {
		t.Errorf("2^32-1: %x, %v", key, err)
	}
}

func FuzzZ85(f *testing.F) {
	f.Add(manualKeys[0].z85)
	f.Fuzz(func(t *testing.T, text string) {
		if key, err := Decode(text); err == nil && Encode(key) != text {
			t.Fatalf("%q became %q", text, Encode(key))
		}
	})
}
