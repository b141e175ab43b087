package zre

import "testing"

func BenchmarkParseWhisper(b *testing.B) { benchmarkParse(b, AppendSimple(nil, KindWhisper, 1)) }
func BenchmarkParseShout(b *testing.B)   { benchmarkParse(b, AppendGroup(nil, KindShout, 1, "CHAT")) }

func benchmarkParse(b *testing.B, frame []byte) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(frame); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendSimple(b *testing.B) {
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		AppendSimple(buf, KindWhisper, 1)
	}
}

func BenchmarkAppendGroup(b *testing.B) {
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		AppendGroup(buf, KindShout, 1, "CHAT")
	}
}

func BenchmarkParseHello(b *testing.B) {
	h := fullHello()
	frame := AppendHello(nil, 1, &h)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseHello(frame); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendHello(b *testing.B) {
	h := fullHello()
	buf := make([]byte, 0, HelloSize(&h))
	b.ReportAllocs()
	for b.Loop() {
		AppendHello(buf, 1, &h)
	}
}

func BenchmarkParseBeacon(b *testing.B) {
	datagram := beaconOf(3, BeaconKeySize)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := ParseBeacon(datagram); !ok {
			b.Fatal("refused")
		}
	}
}

func BenchmarkAppendBeacon(b *testing.B) {
	beacon := Beacon{Port: 1, HasKey: true}
	buf := make([]byte, 0, BeaconKeySize)
	b.ReportAllocs()
	for b.Loop() {
		beacon.Append(buf)
	}
}
