//go:build cgo && !purego

// The way of messages: one crossing for each that is sent, one for each batch
// that is received.

#include <zyre.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include "zyre_cgo.h"

// Takes a length as zg_drain and the sender in Go write it. A frame may have more
// than 4 GiB.
static uint64_t
get_length (const uint8_t *from)
{
    uint64_t length;
    memcpy (&length, from, sizeof length);
    return length;
}

// Makes a message of data: one frame, or if packed any number of frames, each
// behind its length in 8 bytes of this machine's order.
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
        uint64_t length = get_length (data);
        data += sizeof length;
        zmsg_addmem (msg, data, length);
        data += length;
    }
    return msg;
}

// Whispers or shouts to target, a string with NUL. To settle returns only after
// the actor has taken this message and all before it: nothing else holds back a
// sender that is faster.
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

enum {
    BATCH_MESSAGES = 256,
    BATCH_BYTES = 64 * 1024,
    BATCH_LARGE_BYTES = 1024 * 1024,
    PATIENCE = 3,   // times that others may run before there is nothing left
};

// Returns a block with room for so many bytes: what there is, or a larger one
// with the same content. There is no going on without memory.
static void *
with_room (void *block, size_t *capacity, size_t need)
{
    if (need <= *capacity)
        return block;
    while (*capacity < need)
        *capacity = *capacity? 2 * *capacity: BATCH_BYTES;
    block = realloc (block, *capacity);
    assert (block);
    return block;
}

// Takes one frame if there is one, or who stays if one comes. A signal ends a
// stay, but else is no reason to give up.
static int
take_frame (zg_node *node, zmq_msg_t *frame, int stay)
{
    int rc;
    do
        rc = zmq_msg_recv (frame, node->inbox, stay? 0: ZMQ_DONTWAIT);
    while (rc < 0 && zmq_errno () == EINTR && !stay);
    return rc;
}

static void
put_length (zg_node *node, uint64_t length)
{
    node->batch = (uint8_t *) with_room (node->batch, &node->capacity, node->size + sizeof length);
    memcpy (node->batch + node->size, &length, sizeof length);
    node->size += sizeof length;
}

static void
put_bytes (zg_node *node, const void *data, size_t length)
{
    node->batch = (uint8_t *) with_room (node->batch, &node->capacity, node->size + length);
    memcpy (node->batch + node->size, data, length);
    node->size += length;
}

// Keeps a large frame for Go to copy.
static void
keep (zg_node *node, zmq_msg_t *msg)
{
    size_t need = (node->larges + 1) * sizeof (zg_frame);
    node->large = (zg_frame *) with_room (node->large, &node->larges_capacity, need);
    node->large [node->larges++] = (zg_frame) { (const uint8_t *) zmq_msg_data (msg), msg };
    node->larges_bytes += zmq_msg_size (msg);
}

// Appends the frame of this number to the batch, if there is one, and reports
// in more whether it is followed by others of its message.
static int
put_frame (zg_node *node, uint64_t number, int stay, int *more)
{
    zmq_msg_t frame;
    zmq_msg_init (&frame);
    if (take_frame (node, &frame, stay) < 0) {
        zmq_msg_close (&frame);
        return 0;
    }
    *more = zmq_msg_more (&frame);
    size_t length = zmq_msg_size (&frame);
    put_length (node, length);
    if (number >= ZG_HEAD_FRAMES) {
        node->body_frames++;
        node->body_bytes += length < ZG_LARGE? length: 0;
    }
    if (length < ZG_LARGE)
        put_bytes (node, zmq_msg_data (&frame), length);
    else {
        zmq_msg_t *kept = (zmq_msg_t *) malloc (sizeof (zmq_msg_t));
        assert (kept);
        zmq_msg_init (kept);
        zmq_msg_move (kept, &frame);
        keep (node, kept);
    }
    zmq_msg_close (&frame);
    return 1;
}

// Appends one message to the batch: the number of its frames, then each frame
// behind its length, but of a large one the length alone. Returns 0 if there
// is none.
static int
take_message (zg_node *node, int stay)
{
    size_t head = node->size;
    uint64_t frames = 0;
    put_length (node, frames);
    int more = 1;
    while (more && put_frame (node, frames, stay && frames == 0, &more))
        frames++;
    if (frames == 0) {
        node->size = head;
        return 0;
    }
    memcpy (node->batch + head, &frames, sizeof frames);
    return 1;
}

static int
has_room (const zg_node *node)
{
    return node->size < BATCH_BYTES && node->larges_bytes < BATCH_LARGE_BYTES;
}

// Takes all that has arrived and fits into the batch. With patience it lets
// other threads run a few times when there is nothing left.
static uint32_t
take_messages (zg_node *node, int patient)
{
    uint32_t messages = 0;
    int patience = patient? PATIENCE: 0;
    while (messages < BATCH_MESSAGES && has_room (node)) {
        if (take_message (node, 0))
            messages++;
        else if (patience-- > 0)
            sched_yield ();
        else
            return messages;
    }
    node->more = 1;
    return messages;
}

// Fills the batch with what has arrived and returns how many messages that
// were. It is valid until it is released. Who stays waits if there is none, for
// ZG_STAY or until a signal. He then takes one, and so does he where messages do
// not flow: to find that there are no others would cost him a call of the
// kernel.
uint32_t
zg_drain (zg_node *node, int flows, int stay)
{
    uint32_t messages = 0;
    zg_release (node);
    node->more = 0;
    if (flows || !stay)
        messages = take_messages (node, flows);
    if (messages == 0 && stay)
        messages = take_message (node, 1);
    return messages;
}

// Gives back the memory of the last batch.
void
zg_release (zg_node *node)
{
    for (size_t i = 0; i < node->larges; i++) {
        zmq_msg_close ((zmq_msg_t *) node->large [i].msg);
        free (node->large [i].msg);
    }
    if (node->capacity > 16 * BATCH_BYTES) {    // an unusually large message
        free (node->batch);
        node->batch = NULL;
        node->capacity = 0;
    }
    node->larges = 0;
    node->larges_bytes = 0;
    node->size = 0;
    node->body_frames = 0;
    node->body_bytes = 0;
}
