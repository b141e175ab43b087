//go:build cgo && !purego

#include <zyre.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "zyre_cgo.h"

// Runs a statement that no signal may disturb.
#define UNDISTURBED(statement) do { \
    sigset_t old_mask; \
    zg_block_signals (&old_mask); \
    statement; \
    zg_restore_signals (&old_mask); \
} while (0)

static zyre_t *
zyre_of (zg_node *node)
{
    return (zyre_t *) node->zyre;
}

// ---------------------------------------------------------------------------
// Process

// Where czmq logs. It has to be told again now and then: each gossip actor
// that starts sets the stream of the whole process to standard output.
static FILE *log_stream;

// Large frames are allocated by one thread and freed by another, many times a
// second. Untaught, malloc gives each back to the system, which then clears
// its pages for the next one: that costs more than the frame. From a large
// block that is freed it learns to keep some; see M_TRIM_THRESHOLD in
// mallopt(3). Who has set that keeps what he has set.
static void
teach_malloc (void)
{
    void *volatile block = malloc (31 * 1024 * 1024);
    free (block);
}

// How many nodes there are.
static size_t nodes;

#ifdef __GLIBC__

// Go ends a program without C's exit handlers, but not one that was built with
// the race detector or a sanitizer. Then czmq's would take its context away from
// the nodes that are left, which would make them abort.
static void
exit_with_nodes (int status, void *unused)
{
    (void) unused;
    if (__atomic_load_n (&nodes, __ATOMIC_ACQUIRE) == 0)
        return;
    fflush (NULL);
    _exit (status);
}

#endif

// Prepares czmq. Limits and the signal handler go by its environment and not
// by its setters: those abort when somebody in the process has used czmq
// before, which the environment then merely comes too late for.
int
zg_init (int log_fd, int forget_ipv4_multicast)
{
    teach_malloc ();
    log_stream = fdopen (log_fd, "w");
    if (!log_stream)
        return -1;
    setenv ("ZSYS_SIGHANDLER", "false", 1);     // Ctrl-C belongs to Go
    setenv ("ZSYS_MAX_SOCKETS", "65535", 0);    // libzmq's own limit
    if (forget_ipv4_multicast)
        unsetenv ("ZSYS_IPV4_MCAST_ADDRESS");   // czmq asserts that it is one
    UNDISTURBED (zsys_init ());
#ifdef __GLIBC__
    on_exit (exit_with_nodes, NULL);    // is called before czmq's
#endif
    zsys_set_logstream (log_stream);
    // An actor that waits for room in a pipe answers no call, so there is no
    // limit, whatever ZSYS_PIPEHWM says: with any, Stop could wait for ever.
    zsys_set_pipehwm (0);
    return 0;
}

uint64_t
zg_version (void)
{
    return zyre_version ();
}

int
zg_czmq_drafts (void)
{
#ifdef CZMQ_BUILD_DRAFT_API
    return 1;
#else
    return 0;
#endif
}

int
zg_zyre_drafts (void)
{
#ifdef ZYRE_BUILD_DRAFT_API
    return 1;
#else
    return 0;
#endif
}

int
zg_has_curve (void)
{
    return zsys_has_curve ();
}

// Sets what the next node to start reads. Values that are set already are
// left alone: czmq frees the old one while running nodes may be reading it.
void
zg_set_network (const zg_network *network)
{
    zsys_set_ipv6 (network->ipv6);
    if (strneq (zsys_interface (), network->interface))
        zsys_set_interface (network->interface);
    if (strneq (zsys_ipv6_address (), network->ipv6_address))
        zsys_set_ipv6_address (network->ipv6_address);
    if (network->ipv6) {
        const char *group = *network->multicast? network->multicast: "ff02::1";
        if (strneq (zsys_ipv6_mcast_address (), group))
            zsys_set_ipv6_mcast_address (group);
    }
#ifdef CZMQ_BUILD_DRAFT_API
    zsys_set_ipv4_mcast_address (!network->ipv6 && *network->multicast? network->multicast: NULL);
#endif
}

void
zg_set_ipv6 (int ipv6)
{
    zsys_set_ipv6 (ipv6);
}

// Returns 0 if zbeacon will be able to bind this port, else errno. zbeacon
// shares it with others that are willing to.
int
zg_check_udp_port (int port, int ipv6)
{
    int fd = socket (ipv6? AF_INET6: AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    int on = 1;
    setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
#ifdef SO_REUSEPORT
    setsockopt (fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
#endif
    struct sockaddr_in any4 = { .sin_family = AF_INET, .sin_port = htons (port) };
    struct sockaddr_in6 any6 = { .sin6_family = AF_INET6, .sin6_port = htons (port) };
    int rc = ipv6? bind (fd, (struct sockaddr *) &any6, sizeof any6)
                 : bind (fd, (struct sockaddr *) &any4, sizeof any4);
    int reason = rc? errno: 0;
    close (fd);
    return reason;
}

// ---------------------------------------------------------------------------
// Lifecycle of a node

zg_node *
zg_new (const char *name)
{
    zg_node *node = (zg_node *) calloc (1, sizeof (zg_node));
    if (!node)
        return NULL;
    UNDISTURBED (node->zyre = zyre_new (*name? name: NULL));
    zsock_set_rcvtimeo (zyre_socket (zyre_of (node)), ZG_STAY);
    node->inbox = zsock_resolve (zyre_socket (zyre_of (node)));
    __atomic_add_fetch (&nodes, 1, __ATOMIC_RELEASE);
    return node;
}

void
zg_destroy (zg_node *node)
{
    zyre_t *zyre = zyre_of (node);
    UNDISTURBED (zyre_destroy (&zyre));
    __atomic_sub_fetch (&nodes, 1, __ATOMIC_RELEASE);
    zg_release (node);
    free (node->large);
    free (node->batch);
    free (node);
}

void
zg_configure (zg_node *node, const zg_settings *settings)
{
    zyre_t *zyre = zyre_of (node);
    sigset_t old;
    zg_block_signals (&old);
    if (settings->verbose)
        zyre_set_verbose (zyre);
    if (settings->port)
        zyre_set_port (zyre, settings->port);
    zyre_set_interval (zyre, settings->interval_ms);
    zyre_set_evasive_timeout (zyre, settings->evasive_ms);
    zyre_set_expired_timeout (zyre, settings->expired_ms);
    zg_restore_signals (&old);
}

// Where a node with beacons listens. One that runs and has no port yet tries
// this one, and has done so when the call returns.
void
zg_set_peer_port (zg_node *node, int port)
{
#ifdef ZYRE_BUILD_DRAFT_API
    sigset_t old;
    zg_block_signals (&old);
    zyre_set_beacon_peer_port (zyre_of (node), port);
    zyre_uuid (zyre_of (node));
    zg_restore_signals (&old);
#endif
}

void
zg_set_cert (zg_node *node, const uint8_t public_key [32], const uint8_t secret_key [32])
{
    zcert_t *cert = zcert_new_from (public_key, secret_key);
    UNDISTURBED (zyre_set_zcert (zyre_of (node), cert));
    zcert_destroy (&cert);
}

void
zg_set_zap_domain (zg_node *node, const char *domain)
{
    UNDISTURBED (zyre_set_zap_domain (zyre_of (node), domain));
}

void
zg_set_header (zg_node *node, const char *name, const char *value)
{
    UNDISTURBED (zyre_set_header (zyre_of (node), name, "%s", value));
}

void
zg_set_contest (zg_node *node, const char *group)
{
    UNDISTURBED (zyre_set_contest_in_group (zyre_of (node), group));
}

void
zg_set_advertised_endpoint (zg_node *node, const char *endpoint)
{
    UNDISTURBED (zyre_set_advertised_endpoint (zyre_of (node), endpoint));
}

// Binds the endpoint and turns from beacons to gossip.
int
zg_set_endpoint (zg_node *node, const char *endpoint)
{
    int rc;
    UNDISTURBED (rc = zyre_set_endpoint (zyre_of (node), "%s", endpoint));
    zsys_set_logstream (log_stream);
    return rc;
}

void
zg_gossip_bind (zg_node *node, const char *endpoint)
{
    UNDISTURBED (zyre_gossip_bind (zyre_of (node), "%s", endpoint));
}

// The key is that of a hub with CURVE, or "".
void
zg_gossip_connect (zg_node *node, const char *endpoint, const char *key)
{
    zyre_t *zyre = zyre_of (node);
    if (*key)
        UNDISTURBED (zyre_gossip_connect_curve (zyre, key, "%s", endpoint));
    else
        UNDISTURBED (zyre_gossip_connect (zyre, "%s", endpoint));
}

// Starts the node. libzyre replies before it has read which interface to use;
// one more question is answered only after that.
int
zg_start (zg_node *node)
{
    int rc;
    sigset_t old;
    zg_block_signals (&old);
    rc = zyre_start (zyre_of (node));
    zyre_uuid (zyre_of (node));
    zg_restore_signals (&old);
    return rc;
}

void
zg_stop (zg_node *node)
{
    UNDISTURBED (zyre_stop (zyre_of (node)));
}

// ---------------------------------------------------------------------------
// Control of a started node

void
zg_uuid (zg_node *node, char uuid [ZG_UUID_TEXT])
{
    const char *text;
    UNDISTURBED (text = zyre_uuid (zyre_of (node)));
    snprintf (uuid, ZG_UUID_TEXT, "%s", text? text: "");
}

void
zg_join (zg_node *node, const char *group)
{
    UNDISTURBED (zyre_join (zyre_of (node), group));
}

void
zg_leave (zg_node *node, const char *group)
{
    UNDISTURBED (zyre_leave (zyre_of (node), group));
}

// Returns a string to be freed, empty if there is no such peer, or NULL.
char *
zg_peer_address (zg_node *node, const char *uuid)
{
    char *address;
    UNDISTURBED (address = zyre_peer_address (zyre_of (node), uuid));
    return address;
}

// The key is that of a peer with CURVE, or "".
void
zg_require_peer (zg_node *node, const char *uuid, const char *endpoint, const char *key)
{
#ifdef ZYRE_BUILD_DRAFT_API
    UNDISTURBED (zyre_require_peer (zyre_of (node), uuid, endpoint, key));
#endif
}

void
zg_gossip_unpublish (zg_node *node, const char *uuid)
{
#ifdef ZYRE_BUILD_DRAFT_API
    UNDISTURBED (zyre_gossip_unpublish (zyre_of (node), uuid));
#endif
}
