// What the libzyre engine asks of C: few functions that each do one whole
// job, so that Go crosses into C once for it. None calls back into Go.

#ifndef ZYRE_CGO_H
#define ZYRE_CGO_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#define ZG_UUID_TEXT 33     // 32 hex digits and a NUL

// Frames from this size on are not copied into a batch, which refers to them.
#define ZG_LARGE 4096

// How long zg_drain stays for a message, in ms.
#define ZG_STAY 4

// Each message of libzyre begins with the kind of event, a UUID and a name.
#define ZG_HEAD_FRAMES 3

// A large frame of a batch.
typedef struct {
    const uint8_t *data;
    void *msg;              // zmq_msg_t that data belongs to
} zg_frame;

// One zyre_t and the batch of messages last taken from it.
typedef struct {
    void *zyre;             // zyre_t
    void *inbox;            // its event socket, as libzmq knows it
    uint8_t *batch;         // see zg_drain; owned here, grows
    size_t size, capacity;  // of batch, in bytes
    uint32_t body_frames;   // in batch, beyond the head of each message
    size_t body_bytes;      // of those of them that are not large
    zg_frame *large;        // all frames that are large, in their order
    size_t larges, larges_capacity;
    size_t larges_bytes;
    int more;               // the batch was full, there may be more
} zg_node;

// What zg_configure passes on before a start. Zero means libzyre's default.
typedef struct {
    int port;
    size_t interval_ms;
    int evasive_ms, expired_ms;
    int verbose;
} zg_settings;

// The state of czmq that all nodes of the process share.
typedef struct {
    const char *interface;  // name or address, "*", or ""
    int ipv6;
    const char *ipv6_address;
    const char *multicast;  // group, or "": broadcast, and ff02::1 with IPv6
} zg_network;

// Process.
int zg_init (int log_fd, int forget_ipv4_multicast);
uint64_t zg_version (void);
int zg_czmq_drafts (void);
int zg_zyre_drafts (void);
int zg_has_curve (void);
void zg_set_network (const zg_network *network);
void zg_set_ipv6 (int ipv6);
int zg_check_udp_port (int port, int ipv6);

// Lifecycle of a node.
zg_node *zg_new (const char *name);
void zg_destroy (zg_node *node);
void zg_configure (zg_node *node, const zg_settings *settings);
void zg_set_peer_port (zg_node *node, int port);
void zg_set_cert (zg_node *node, const uint8_t public_key [32], const uint8_t secret_key [32]);
void zg_set_zap_domain (zg_node *node, const char *domain);
void zg_set_header (zg_node *node, const char *name, const char *value);
void zg_set_contest (zg_node *node, const char *group);
void zg_set_advertised_endpoint (zg_node *node, const char *endpoint);
int zg_set_endpoint (zg_node *node, const char *endpoint);
void zg_gossip_bind (zg_node *node, const char *endpoint);
void zg_gossip_connect (zg_node *node, const char *endpoint, const char *key);
int zg_start (zg_node *node);
void zg_stop (zg_node *node);

// Control of a started node.
void zg_uuid (zg_node *node, char uuid [ZG_UUID_TEXT]);
void zg_join (zg_node *node, const char *group);
void zg_leave (zg_node *node, const char *group);
char *zg_peer_address (zg_node *node, const char *uuid);
void zg_require_peer (zg_node *node, const char *uuid, const char *endpoint, const char *key);
void zg_gossip_unpublish (zg_node *node, const char *uuid);

// Data.
int zg_send (zg_node *node, int shout, const uint8_t *target,
             const uint8_t *data, size_t size, int packed, int settle);
uint32_t zg_drain (zg_node *node, int flows, int stay);
void zg_release (zg_node *node);

// Waiting for it.
int zg_inbox_fd (zg_node *node);
int zg_bell (int inbox);
int zg_arm (int bell, int inbox);
void zg_disarm (int bell, int inbox);

// Who may connect.
int zg_allow_keys (const char *domain, const uint8_t *keys, size_t size);
void zg_forget_keys (const char *domain);

// Signals, for the other C files.
void zg_block_signals (sigset_t *old);
void zg_restore_signals (const sigset_t *old);

#endif
