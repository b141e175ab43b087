//  Messages, and the time that they take

#include "zyreperf.h"

int64_t
now_ns (clockid_t clock)
{
    struct timespec now;
    clock_gettime (clock, &now);
    return now.tv_sec * INT64_C (1000000000) + now.tv_nsec;
}

int64_t
mono_ns (void)
{
    return now_ns (CLOCK_MONOTONIC);
}

void
body_put (uint8_t *body, uint64_t number, int last)
{
    for (int i = 0; i < 8; i++)
        body [i] = (uint8_t) (number >> 8 * i);
    body [LAST_AT] = last != 0;
}

uint64_t
body_get (const uint8_t *body)
{
    uint64_t number = 0;
    for (int i = 7; i >= 0; i--)
        number = number << 8 | body [i];
    return number;
}

zmsg_t *
body_message (const uint8_t *body, size_t size)
{
    zmsg_t *msg = zmsg_new ();
    zmsg_addmem (msg, body, size);
    return msg;
}

void
party_whisper (party_t *self, int to, const uint8_t *body, size_t size)
{
    zmsg_t *msg = body_message (body, size);
    zyre_whisper (self->node, uuids [to], &msg);
}

//  The next message, or NULL after the deadline or when the peer has left
zyre_event_t *
party_recv (party_t *self)
{
    while (true) {
        zyre_event_t *event = zyre_event_new (self->node);
        if (!event)
            return NULL;
        const char *type = zyre_event_type (event);
        if (streq (type, "WHISPER") || streq (type, "SHOUT"))
            return event;
        bool left = streq (type, "EXIT");
        zyre_event_destroy (&event);
        if (left)
            return NULL;
    }
}

zframe_t *
event_body (zyre_event_t *event)
{
    return zmsg_first (zyre_event_msg (event));
}
