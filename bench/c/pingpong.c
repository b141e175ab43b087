//  One message at a time, there and back

#include "zyreperf.h"

static int
s_compare (const void *a, const void *b)
{
    int64_t x = *(const int64_t *) a, y = *(const int64_t *) b;
    return (x > y) - (x < y);
}

static bool
s_round_trip (uint8_t *body)
{
    party_whisper (&parties [0], 1, body, request.size);
    zyre_event_t *event = party_recv (&parties [0]);
    bool back = event && zframe_size (event_body (event)) == request.size
                      && body_get (zframe_data (event_body (event))) == body_get (body);
    zyre_event_destroy (&event);
    return back;
}

void
serve_ping (void)
{
    uint8_t *body = (uint8_t *) calloc (1, request.size);
    int64_t *trips = (int64_t *) calloc (request.max, sizeof *trips);
    int64_t warm = mono_ns () + request.warm_ms * 1000000;
    int64_t end = warm + request.run_ms * 1000000;
    uint64_t count = 0;
    int last = 0;
    for (uint64_t number = 0; !last; number++) {
        int64_t start = mono_ns ();
        last = start > end || count + 1 >= request.max;
        body_put (body, number, last);
        if (!s_round_trip (body))
            FAIL ("round trip %" PRIu64 ": not back", number);
        if (start > warm)
            trips [count++] = mono_ns () - start;
    }
    if (count == 0)
        FAIL ("no round trip in time");
    qsort (trips, count, sizeof *trips, s_compare);
    printf ("{\"messages\":%" PRIu64 ",\"p50_ns\":%" PRId64 ",\"p99_ns\":%" PRId64 "}\n",
            count, trips [count / 2], trips [count * 99 / 100]);
    free (trips);
    free (body);
}

void
serve_echo (void)
{
    bool last = false;
    while (!last) {
        zyre_event_t *event = party_recv (&parties [0]);
        if (!event)
            FAIL ("echo waited in vain");
        zframe_t *body = event_body (event);
        last = zframe_data (body) [LAST_AT];
        party_whisper (&parties [0], 0, zframe_data (body), zframe_size (body));
        zyre_event_destroy (&event);
    }
    printf ("{}\n");
}
