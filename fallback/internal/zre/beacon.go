package zre

import "encoding/binary"

// Sizes of the two beacons.
const (
	BeaconSize    = 22 // "ZRE", version, UUID, port
	BeaconKeySize = 54 // the same and a CURVE public key
)

const (
	beaconPrefix     = "ZRE"
	beaconVersion    = 1
	beaconKeyVersion = 3
)

// Beacon is the UDP datagram by which a node announces itself: version 1 of
// RFC 36 without a key, version 3 of RFC 43 with one.
type Beacon struct {
	UUID   [16]byte
	Port   uint16   // TCP port of the sender's listener; 0: the sender goes away
	Key    [32]byte // long-term CURVE public key, if HasKey
	HasKey bool
}

// ParseBeacon decodes a datagram and says whether it is a beacon. Of a version
// 1 beacon in 54 bytes the tail is ignored, as libzyre ignores it. A version 3
// beacon must carry a key: all zeros is none. ParseBeacon does not allocate.
func ParseBeacon(datagram []byte) (Beacon, bool) {
	if len(datagram) != BeaconSize && len(datagram) != BeaconKeySize {
		return Beacon{}, false
	}
	if string(datagram[:3]) != beaconPrefix {
		return Beacon{}, false
	}
	b := Beacon{UUID: [16]byte(datagram[4:20]), Port: binary.BigEndian.Uint16(datagram[20:])}
	switch datagram[3] {
	case beaconVersion:
		return b, true
	case beaconKeyVersion:
		return b.withKey(datagram[BeaconSize:])
	}
	return Beacon{}, false
}

func (b Beacon) withKey(key []byte) (Beacon, bool) {
	if copy(b.Key[:], key) != len(b.Key) || b.Key == [32]byte{} {
		return Beacon{}, false
	}
	b.HasKey = true
	return b, true
}

// Append appends the datagram: with a key version 3, without version 1.
func (b *Beacon) Append(dst []byte) []byte {
	dst = append(dst, beaconPrefix...)
	if b.HasKey {
		dst = append(dst, beaconKeyVersion)
	} else {
		dst = append(dst, beaconVersion)
	}
	dst = append(dst, b.UUID[:]...)
	dst = binary.BigEndian.AppendUint16(dst, b.Port)
	if b.HasKey {
		dst = append(dst, b.Key[:]...)
	}
	return dst
}
