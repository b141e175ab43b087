// # Where the engines differ
//
// Both keep what this documentation says, but for the following, which
// libzyre cannot be brought to from outside.
//
//   - Loopback: libzyre sends no beacons there; Start answers
//     [ErrNoInterface]. Gossip works.
//   - Several names in [WithInterface] are [errors.ErrUnsupported]: czmq has
//     one interface. With "*" libzyre tells peers the name of the machine,
//     which they must be able to resolve.
//   - Nodes of one process on two interfaces: one that cannot send a beacon,
//     because its link is down for a moment, goes on at the interface of the one
//     that was started last. czmq looks there anew, and has one interface.
//   - Addresses are those of the time of Start: libzyre does not notice that
//     one has changed.
//   - [WithDualStack] is [errors.ErrUnsupported]: czmq has one version of IP.
//   - czmq has one multicast group and IPv6 setting for the process. While a
//     node with IPv6 runs, another with other settings is
//     [errors.ErrUnsupported]. A czmq built without draft functions, as most
//     are, takes the IPv4 group from ZSYS_IPV4_MCAST_ADDRESS alone.
//   - [WithBeacon] beside gossip is [errors.ErrUnsupported]: libzyre turns
//     beacons off.
//   - CURVE: a stranger whom [WithAllowedKeys] keeps from being a peer can be a
//     client of a gossip hub, and where he announces himself libzyre still tells
//     him the node's name, headers and groups. That option needs the one ZAP
//     handler that a process can have (RFC 27): Start fails where the
//     application has one, see [WithZAPDomain], and czmq's zauth aborts where
//     the node has it.
//   - Gossip with CURVE and GossipUnpublish need a czmq with draft functions;
//     without them it would go on in clear.
//   - Gossip: without draft functions czmq never forgets an endpoint. If a hub
//     is started again at the one that it had ([WithPeerPort] or
//     [WithEndpoint]), peers on libzyre that stayed may not find it.
//   - Elections in a group of three or more on libzyre may end without a
//     leader, until a member joins or leaves. Those among nodes of the fallback
//     do not.
//   - [WithSilentTimeout] has no effect: libzyre keeps it in the variable of
//     the evasive timeout. A peer is silent one second after it was evasive.
//   - [WithExpiredTimeout] of more than 5 h 57 min is [errors.ErrUnsupported]:
//     libzmq cannot count the messages that libzyre would let wait for a peer.
//   - [WithMessageLimit], [WithInboxLimit] and [WithSendTimeout] have no
//     effect: libzyre takes messages of any size, and nothing holds a peer
//     back, so memory grows with what the application does not read, and with
//     what peers do not take. From 100 messages for each millisecond of
//     the expired timeout on, libzyre drops all that waits for a peer and
//     says nothing; later there is an Exit and an Enter. [WithSendLimit]
//     bounds what waits for libzyre's thread, not for a peer.
//   - Stop of a node that beacons does not wait for what was sent before: the
//     farewell goes another way and may overtake it. With gossip it does, on
//     Linux and at an endpoint of TCP.
//   - [Evasive] means that a peer had nothing to say; libzyre asks it only
//     then, and looks after its peers only when it has nothing else to do.
//   - A WHISPER or SHOUT without frames, which peers of these engines do not
//     send, swallows the event behind it, whose parts become its frames. The
//     [Stop] event comes for certain.
//   - A peer that breaks the protocol, for example with a JOIN of a wrong
//     status, or a lack of file descriptors makes libzyre abort the process.
//     The fallback survives both.
//   - [Stats]: Dropped, Reconnects, Refused and QueuedBytes stay zero; libzyre
//     does not tell.
//   - It needs a POSIX system: on Windows build with the tag purego.
package zyre
