//  Nodes that start, meet and stay

#include "zyreperf.h"

static int64_t exits;           //  of peers, seen by idle parties

//  How the node finds the others: by beacon, or by gossip with party 0
static bool
s_configure (party_t *self)
{
    if (!*request.hub) {
        zyre_set_interface (self->node, request.interface);
        zyre_set_port (self->node, request.port);
        return true;
    }
    if (zyre_set_endpoint (self->node, "%s", "tcp://127.0.0.1:*"))
        return false;
    if (self->number == 0)
        zyre_gossip_bind (self->node, "%s", request.hub);
    else
        zyre_gossip_connect (self->node, "%s", request.hub);
    return true;
}

static bool
s_start (party_t *self)
{
    char name [16];
    snprintf (name, sizeof name, "%d", self->number);
    self->node = zyre_new (name);
    if (request.curve) {
        zcert_t *cert = zcert_new ();
        zyre_set_zcert (self->node, cert);
        zcert_destroy (&cert);
    }
    if (!s_configure (self))
        return false;
    zyre_join (self->node, GROUP);
    if (zyre_start (self->node))
        return false;
    zsock_set_rcvtimeo (zyre_socket (self->node), (int) request.deadline_ms);
    return true;
}

void
serve_open (void)
{
    parties_nbr = request.nodes;
    parties = (party_t *) calloc (request.nodes, sizeof (party_t));
    uuids = calloc (request.total, sizeof *uuids);
    for (int i = 0; i < parties_nbr; i++) {
        parties [i].number = request.first + i;
        if (!s_start (&parties [i]))
            FAIL ("party %d cannot start", parties [i].number);
    }
    uint64_t version = zyre_version ();
    printf ("{\"version\":\"libzyre %d.%d.%d\",\"at_ns\":%" PRId64 "}\n",
            (int) (version / 10000), (int) (version / 100 % 100), (int) (version % 100),
            now_ns (CLOCK_REALTIME));
}

//  Reads one event of a party that meets or is idle
static void
s_learn (party_t *self)
{
    zyre_event_t *event = zyre_event_new (self->node);
    if (!event)
        return;
    const char *type = zyre_event_type (event);
    if (streq (type, "ENTER")) {
        int number = atoi (zyre_event_peer_name (event));
        if (number >= 0 && number < request.total)
            snprintf (uuids [number], sizeof *uuids, "%s", zyre_event_peer_uuid (event));
        self->entered++;
    }
    else if (streq (type, "JOIN"))
        self->joined++;
    else if (streq (type, "EXIT"))
        __atomic_add_fetch (&exits, 1, __ATOMIC_RELAXED);
    zyre_event_destroy (&event);
}

static bool
s_all_met (void)
{
    for (int i = 0; i < parties_nbr; i++)
        if (parties [i].entered < request.total - 1 || parties [i].joined < request.total - 1)
            return false;
    return true;
}

//  Waits for events of all parties and reads those that are there
static void
s_learn_all (int timeout_ms)
{
    zmq_pollitem_t items [parties_nbr];
    for (int i = 0; i < parties_nbr; i++)
        items [i] = (zmq_pollitem_t) { zsock_resolve (zyre_socket (parties [i].node)), 0, ZMQ_POLLIN, 0 };
    if (zmq_poll (items, parties_nbr, timeout_ms) <= 0)
        return;
    for (int i = 0; i < parties_nbr; i++)
        if (items [i].revents)
            s_learn (&parties [i]);
}

static void *
s_stay (void *unused)
{
    while (true)
        s_learn_all (-1);
    return unused;
}

void
serve_meet (void)
{
    int64_t deadline = mono_ns () + request.deadline_ms * 1000000;
    while (!s_all_met ()) {
        if (mono_ns () > deadline)
            FAIL ("first party knows %d of %d others, %d in the group", parties [0].entered, request.total - 1, parties [0].joined);
        s_learn_all (100);
    }
    int64_t met = now_ns (CLOCK_REALTIME);
    pthread_t thread;
    if (request.idle && pthread_create (&thread, NULL, s_stay, NULL))
        FAIL ("no thread");
    printf ("{\"at_ns\":%" PRId64 "}\n", met);
}

void
serve_peers (void)
{
    printf ("{\"fewest\":%d}\n", (int) (request.total - 1 - __atomic_load_n (&exits, __ATOMIC_RELAXED)));
}
