//  Messages one way: a window ahead of the acks that answer them

#include "zyreperf.h"

static uint64_t sent;
static uint64_t *acked;         //  by each party

static bool
s_await (uint64_t count)
{
    for (int number = 1; number < request.total; number++)
        while (acked [number] < count) {
            zyre_event_t *event = party_recv (&parties [0]);
            if (!event)
                return false;
            int from = atoi (zyre_event_peer_name (event));
            if (from > 0 && from < request.total)
                acked [from] = body_get (zframe_data (event_body (event)));
            zyre_event_destroy (&event);
        }
    return true;
}

static bool
s_send_one (uint8_t *body, int last)
{
    if (request.window && sent >= request.window && !s_await (sent - request.window + 1))
        return false;
    body_put (body, sent++, last);
    if (request.shout) {
        zmsg_t *msg = body_message (body, request.size);
        zyre_shout (parties [0].node, GROUP, &msg);
    }
    else
        party_whisper (&parties [0], 1, body, request.size);
    return true;
}

static bool
s_stream (uint8_t *body, int64_t until)
{
    uint64_t stride = request.size <= 4096? 64: 1;
    while (sent + 1 < request.max) {
        if (sent % stride == 0 && mono_ns () > until)
            break;
        if (!s_send_one (body, 0))
            return false;
    }
    return true;
}

void
serve_send (void)
{
    uint8_t *body = (uint8_t *) calloc (1, request.size);
    acked = (uint64_t *) calloc (request.total, sizeof *acked);
    bool ok = s_stream (body, mono_ns () + request.warm_ms * 1000000);
    uint64_t before = sent;
    int64_t start = mono_ns ();
    ok = ok && s_stream (body, start + request.run_ms * 1000000)
            && s_send_one (body, 1) && s_await (sent);
    int64_t elapsed = mono_ns () - start;
    free (body);
    if (!ok)
        FAIL ("%" PRIu64 " messages sent, first receiver has %" PRIu64 ": no more acks", sent, acked [1]);
    printf ("{\"messages\":%" PRIu64 ",\"elapsed_ns\":%" PRId64 "}\n", sent - before, elapsed);
}

//  ------------------------------------------------------------------------
//  receive

//  Counts one message and reports whether it is the last
static bool
s_count (party_t *self, zframe_t *body)
{
    self->received++;
    if (zframe_size (body) != request.size) {
        self->wrong++;
        return false;
    }
    uint64_t number = body_get (zframe_data (body));
    bool last = zframe_data (body) [LAST_AT];
    if (number < self->next) {
        self->wrong++;
        return last;
    }
    self->lost += number - self->next;
    self->next = number + 1;
    return last;
}

static void *
s_receive_party (void *args)
{
    party_t *self = (party_t *) args;
    uint8_t ack [ACK_SIZE] = { 0 };
    bool last = false;
    while (!last) {
        zyre_event_t *event = party_recv (self);
        if (!event)
            return "receiver waited in vain";
        last = s_count (self, event_body (event));
        zyre_event_destroy (&event);
        if (last || (request.every && self->next - self->acked >= request.every)) {
            self->acked = self->next;
            body_put (ack, self->next, last);
            party_whisper (self, 0, ack, sizeof ack);
        }
    }
    return NULL;
}

void
serve_receive (void)
{
    for (int i = 0; i < parties_nbr; i++)
        if (pthread_create (&parties [i].thread, NULL, s_receive_party, &parties [i]))
            FAIL ("no thread");
    party_t sum = { 0 };
    const char *failed = NULL;
    for (int i = 0; i < parties_nbr; i++) {
        void *error;
        pthread_join (parties [i].thread, &error);
        if (error)
            failed = (const char *) error;
        sum.received += parties [i].received;
        sum.lost += parties [i].lost;
        sum.wrong += parties [i].wrong;
    }
    if (failed)
        FAIL ("%s: %" PRId64 " messages received, %" PRId64 " lost", failed, sum.received, sum.lost);
    printf ("{\"messages\":%" PRId64 ",\"lost\":%" PRId64 ",\"wrong\":%" PRId64 "}\n",
            sum.received, sum.lost, sum.wrong);
}
