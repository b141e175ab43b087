//go:build cgo && !purego

// Who may be a peer of the nodes that name the keys of their peers: libzmq asks
// the process about every connection to a socket with CURVE, by ZAP (RFC 27).

#include <czmq.h>
#include "zyre_cgo.h"

// Where libzmq asks. There is one answerer in a process.
#define ZAP_ENDPOINT "inproc://zeromq.zap.01"

#define KEY_SIZE 32

// It runs while there is a list. The functions below are for one thread at a
// time.
static zactor_t *answerer;
static size_t lists;

static void
destroy_keys (void *keys)
{
    zframe_t *frame = (zframe_t *) keys;
    zframe_destroy (&frame);
}

static bool
contains (zframe_t *keys, zframe_t *key)
{
    if (!key || zframe_size (key) != KEY_SIZE)
        return false;
    for (size_t at = 0; at < zframe_size (keys); at += KEY_SIZE)
        if (memcmp (zframe_data (keys) + at, zframe_data (key), KEY_SIZE) == 0)
            return true;
    return false;
}

// Answers one question. Where there is no list everybody is let in, as without
// an answerer: those sockets belong to others in the process.
static void
answer (zsock_t *socket, zhash_t *keys_by_domain)
{
    char *version, *domain, *address, *identity, *mechanism;
    zframe_t *id, *key;
    if (zsock_recv (socket, "sfssssf", &version, &id, &domain, &address, &identity, &mechanism, &key))
        return;
    zframe_t *keys = domain? (zframe_t *) zhash_lookup (keys_by_domain, domain): NULL;
    bool welcome = !keys || (mechanism && streq (mechanism, "CURVE") && contains (keys, key));
    zsock_send (socket, "sfssss", "1.0", id, welcome? "200": "400", welcome? "OK": "not an allowed key", "", "");
    zstr_free (&version);
    zframe_destroy (&id);
    zstr_free (&domain);
    zstr_free (&address);
    zstr_free (&identity);
    zstr_free (&mechanism);
    zframe_destroy (&key);
}

// Obeys one command, and returns whether to go on.
static bool
obey (zsock_t *pipe, zhash_t *keys_by_domain)
{
    char *command, *domain;
    zframe_t *keys;
    if (zsock_recv (pipe, "ssf", &command, &domain, &keys))
        return false;
    bool end = streq (command, "$TERM");
    if (streq (command, "ALLOW")) {
        zhash_insert (keys_by_domain, domain, keys);
        zhash_freefn (keys_by_domain, domain, destroy_keys);
        keys = NULL;
    }
    else
    if (streq (command, "FORGET"))
        zhash_delete (keys_by_domain, domain);
    if (!end)
        zsock_signal (pipe, 0);
    zstr_free (&command);
    zstr_free (&domain);
    zframe_destroy (&keys);
    return !end;
}

static void
answer_all (zsock_t *pipe, void *args)
{
    zsock_t *socket = (zsock_t *) args;
    zhash_t *keys_by_domain = zhash_new ();
    zpoller_t *poller = zpoller_new (pipe, socket, NULL);
    zpoller_set_nonstop (poller, true);
    zsock_signal (pipe, 0);
    for (bool go_on = true; go_on;) {
        void *asks = zpoller_wait (poller, -1);
        if (asks == pipe)
            go_on = obey (pipe, keys_by_domain);
        else
        if (asks == socket)
            answer (socket, keys_by_domain);
    }
    zpoller_destroy (&poller);
    zhash_destroy (&keys_by_domain);
    zsock_unbind (socket, ZAP_ENDPOINT);    // libzmq would do so later
    zsock_destroy (&socket);
}

static int
start_answerer (void)
{
    zsock_t *socket = zsock_new (ZMQ_REP);
    if (socket && zsock_bind (socket, ZAP_ENDPOINT) == 0)
        answerer = zactor_new (answer_all, socket);
    if (!answerer)
        zsock_destroy (&socket);
    return answerer? 0: -1;
}

// Lets only the owners of these keys, 32 bytes each, connect to the sockets of
// a new domain. Returns -1 if another answerer decides in this process.
int
zg_allow_keys (const char *domain, const uint8_t *keys, size_t size)
{
    int rc = 0;
    sigset_t old;
    zg_block_signals (&old);
    if (!answerer)
        rc = start_answerer ();
    if (rc == 0) {
        zsock_send (answerer, "ssb", "ALLOW", domain, keys, size);
        zsock_wait (answerer);
        lists++;
    }
    zg_restore_signals (&old);
    return rc;
}

// Ends what zg_allow_keys has begun. The sockets of the domain must be gone:
// it lets everybody in.
void
zg_forget_keys (const char *domain)
{
    sigset_t old;
    zg_block_signals (&old);
    zsock_send (answerer, "ss", "FORGET", domain);
    zsock_wait (answerer);
    if (--lists == 0)
        zactor_destroy (&answerer);
    zg_restore_signals (&old);
}
