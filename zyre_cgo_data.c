//go:build cgo && !purego

// The way of messages: one crossing for each that is sent, one for each batch
// that is received.

#include <zyre.h>
#include <stdlib.h>
#include <string.h>
#include "zyre_cgo.h"

// Takes a length as zg_drain and the sender in Go write it.
static uint32_t
get_length (const uint8_t *from)
{
    uint32_t length;
    memcpy (&length, from, sizeof length);
    return length;
}

// Makes a message of data: one frame, or if packed any number of frames, each
// behind its length in 4 bytes of this machine's order.
static zmsg_t *
build_message (const uint8_t *data, size_t size, int packed)
{
    zmsg_t *msg = zmsg_new ();
    if (!packed) {
        zmsg_addmem (msg, data, size);
        return msg;
    }
    const uint8_t *end = data + size;
    while (data < end) {
        uint32_t length = get_length (data);
        data += sizeof length;
        zmsg_addmem (msg, data, length);
        data += length;
    }
    return msg;
}

// Whispers or shouts to target, a string with NUL. With settle it returns
// only after the actor has taken this message and all before it: nothing else
// holds back a sender that is faster than the actor.
int
zg_send (zg_node *node, int shout, const uint8_t *target,
         const uint8_t *data, size_t size, int packed, int settle)
{
    zyre_t *zyre = (zyre_t *) node->zyre;
    zmsg_t *msg = build_message (data, size, packed);
    int rc;
    sigset_t old;
    zg_block_signals (&old);
    if (shout)
        rc = zyre_shout (zyre, (const char *) target, &msg);
    else
        rc = zyre_whisper (zyre, (const char *) target, &msg);
    if (settle)
        zyre_uuid (zyre);
    zg_restore_signals (&old);
    zmsg_destroy (&msg);
    return rc;
}

// The descriptor that becomes readable when the inbox may have messages.
int
zg_inbox_fd (zg_node *node)
{
    int fd = -1;
    size_t size = sizeof fd;
    if (zmq_getsockopt (node->inbox, ZMQ_FD, &fd, &size))
        return -1;
    return fd;
}

enum {
    BATCH_MESSAGES = 256,
    BATCH_BYTES = 64 * 1024,
};

// Makes room for more bytes in the batch.
static void
reserve (zg_node *node, size_t more)
{
    size_t need = node->size + more;
    if (need <= node->capacity)
        return;
    size_t capacity = node->capacity? node->capacity: BATCH_BYTES;
    while (capacity < need)
        capacity *= 2;
    node->batch = (uint8_t *) realloc (node->batch, capacity);
    assert (node->batch);
    node->capacity = capacity;
}

// Gives back what an unusually large message needed.
static void
trim (zg_node *node)
{
    if (node->capacity > 16 * BATCH_BYTES) {
        free (node->batch);
        node->batch = NULL;
        node->capacity = 0;
    }
    node->size = 0;
    node->frames = 0;
}

// Takes one frame if there is one. A signal is no reason to give up.
static int
take_frame (zg_node *node, zmq_msg_t *frame)
{
    int rc;
    do
        rc = zmq_msg_recv (frame, node->inbox, ZMQ_DONTWAIT);
    while (rc < 0 && zmq_errno () == EINTR);
    return rc;
}

static void
put_length (zg_node *node, size_t at, uint32_t length)
{
    memcpy (node->batch + at, &length, sizeof length);
}

// Appends one message to the batch: the number of its frames, then each frame
// behind its length. Returns 0 if there is none.
static int
take_message (zg_node *node)
{
    uint32_t frames = 0;
    size_t head = node->size;
    int more = 1;
    while (more) {
        zmq_msg_t frame;
        zmq_msg_init (&frame);
        if (take_frame (node, &frame) < 0) {
            zmq_msg_close (&frame);
            break;
        }
        size_t length = zmq_msg_size (&frame);
        reserve (node, 2 * sizeof (uint32_t) + length);
        if (frames++ == 0)
            node->size += sizeof (uint32_t);
        put_length (node, node->size, (uint32_t) length);
        memcpy (node->batch + node->size + sizeof (uint32_t), zmq_msg_data (&frame), length);
        node->size += sizeof (uint32_t) + length;
        more = zmq_msg_more (&frame);
        zmq_msg_close (&frame);
    }
    if (frames == 0)
        return 0;
    put_length (node, head, frames);
    node->frames += frames;
    return 1;
}

// Fills the batch with what has arrived, without waiting, and returns how
// many messages that were. It is valid until the next call.
uint32_t
zg_drain (zg_node *node)
{
    uint32_t messages = 0;
    trim (node);
    while (messages < BATCH_MESSAGES && node->size < BATCH_BYTES && take_message (node))
        messages++;
    return messages;
}
