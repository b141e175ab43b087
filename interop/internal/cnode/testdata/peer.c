// A libzyre node that a test drives.
//
// Commands come in on stdin, replies and events go out on stdout, a JSON
// object a line; frames are base64. The fields are those of the types command
// and line in the Go package internal/lab. What czmq logs goes to stderr.

#include <zyre.h>
#include <ctype.h>
#include <unistd.h>
#include "json.h"

#define STALL 20000 // ms without an acknowledgement before a flood is given up
#define REPORT 1000 // numbered messages between two lines about them

typedef struct {
    long count;
    char *fault; // the first number out of order
} tally_t;

static FILE *out;
static zyre_t *node;
static zactor_t *auth;
static zpoller_t *poller;
static zarmour_t *base64;
static zhash_t *tallies;
static long acknowledged;

// ---------------------------------------------------------------------------
// Events

// Counts a numbered message.
static void
count (const char *peer, long number)
{
    tally_t *tally = (tally_t *) zhash_lookup (tallies, peer);
    if (!tally) {
        tally = (tally_t *) zmalloc (sizeof (tally_t));
        zhash_insert (tallies, peer, tally);
    }
    if (number != tally->count && !tally->fault)
        tally->fault = zsys_sprintf ("number %ld instead of %ld", number, tally->count);
    tally->count++;
    if (!tally->fault && tally->count % REPORT)
        return;
    fprintf (out, "{\"event\":\"BULK\",\"count\":%ld", tally->count);
    json_field (out, "peer", peer);
    if (tally->fault)
        json_field (out, "fault", tally->fault);
    fprintf (out, "}\n");
}

// Takes a message that is numbered, or acknowledges such ones. Returns
// whether it was one.
static bool
take_bulk (zyre_event_t *event)
{
    zmsg_t *msg = zyre_event_msg (event);
    zframe_t *frame = msg? zmsg_first (msg): NULL;
    size_t size = frame? zframe_size (frame): 0;
    if (size < 2 || size > 15 || zmsg_size (msg) != 1)
        return false;
    char text [16] = "";
    memcpy (text, zframe_data (frame), size);
    if (*text == '#')
        count (zyre_event_peer_uuid (event), strtol (text + 1, NULL, 10));
    else
    if (*text == '+')
        acknowledged = strtol (text + 1, NULL, 10);
    else
        return false;
    return true;
}

static void
say_headers (zhash_t *headers)
{
    const char *separator = "";
    fprintf (out, ",\"headers\":{");
    for (char *value = (char *) zhash_first (headers); value; value = (char *) zhash_next (headers)) {
        fputs (separator, out);
        json_string (out, zhash_cursor (headers));
        fputc (':', out);
        json_string (out, value);
        separator = ",";
    }
    fputc ('}', out);
}

static void
say_message (zmsg_t *msg)
{
    const char *separator = "";
    fprintf (out, ",\"msg\":[");
    for (zframe_t *frame = zmsg_first (msg); frame; frame = zmsg_next (msg)) {
        char *text = zarmour_encode (base64, zframe_data (frame), zframe_size (frame));
        fputs (separator, out);
        json_string (out, text);
        free (text);
        separator = ",";
    }
    fputc (']', out);
}

static void
say_event (zyre_event_t *event)
{
    fprintf (out, "{\"event\":\"%s\"", zyre_event_type (event));
    json_field (out, "peer", zyre_event_peer_uuid (event));
    json_field (out, "name", zyre_event_peer_name (event));
    if (zyre_event_peer_addr (event))
        json_field (out, "addr", zyre_event_peer_addr (event));
    if (zyre_event_group (event))
        json_field (out, "group", zyre_event_group (event));
    if (zyre_event_headers (event))
        say_headers (zyre_event_headers (event));
    if (zyre_event_msg (event))
        say_message (zyre_event_msg (event));
    fprintf (out, "}\n");
}

// Takes one event, which must be there.
static void
receive (void)
{
    zyre_event_t *event = zyre_event_new (node);
    if (!event)
        return;
    if (!take_bulk (event))
        say_event (event);
    zyre_event_destroy (&event);
}

// Takes the events that there are.
static void
receive_all (void)
{
    while (zsock_events (zyre_socket (node)) & ZMQ_POLLIN)
        receive ();
}

// ---------------------------------------------------------------------------
// Commands: each adds to the reply what it was asked for, and returns NULL or
// what has gone wrong.

typedef const char *(command_fn) (const command_t *command, FILE *reply);

// Demands CURVE, and with a directory of certificates that one of them is used.
static void
use_keys (const command_t *c)
{
    byte public_key [32], secret_key [32];
    if (!command_get (c, "secret"))
        return;
    zmq_z85_decode (public_key, command_get (c, "public"));
    zmq_z85_decode (secret_key, command_get (c, "secret"));
    zcert_t *cert = zcert_new_from (public_key, secret_key);
    zyre_set_zcert (node, cert);
    zcert_destroy (&cert);
    if (command_get (c, "allowed")) {
        auth = zactor_new (zauth, NULL);
        zstr_sendx (auth, "CURVE", command_get (c, "allowed"), NULL);
        zsock_wait (auth);
    }
}

static void
use_gossip (const command_t *c)
{
    const char *endpoint = command_get (c, "listen");
    if (endpoint)
        zyre_set_endpoint (node, "%s", endpoint);
    for (int i = 0; (endpoint = command_item (c, "gossipBind", i)); i++)
        zyre_gossip_bind (node, "%s", endpoint);
    for (int i = 0; (endpoint = command_member (c, "gossipConnect", i, "endpoint")); i++) {
        const char *key = command_member (c, "gossipConnect", i, "key");
        if (key)
            zyre_gossip_connect_curve (node, key, "%s", endpoint);
        else
            zyre_gossip_connect (node, "%s", endpoint);
    }
}

// Says where the node listens, for which libzyre has no function: it is in
// what it prints.
static void
reply_endpoint (FILE *reply)
{
    static const char label [] = " - endpoint=";
    char *text = NULL;
    size_t size;
    FILE *log = open_memstream (&text, &size);
    zsys_set_logstream (log);
    zyre_print (node);
    zlist_t *groups = zyre_own_groups (node); // is answered after it has printed
    zlist_destroy (&groups);
    zsys_set_logstream (stderr);
    fclose (log);
    char *endpoint = strstr (text, label);
    if (endpoint) {
        endpoint += strlen (label);
        endpoint [strcspn (endpoint, "\n")] = 0;
        json_field (reply, "endpoint", endpoint);
    }
    free (text);
}

static const char *
do_start (const command_t *c, FILE *reply)
{
    static const char prefix [] = "headers.";
    const char *item;
    node = zyre_new (command_get (c, "name"));
    for (size_t i = 0; i < c->count; i++)
        if (strncmp (c->fields [i].path, prefix, strlen (prefix)) == 0)
            zyre_set_header (node, c->fields [i].path + strlen (prefix), "%s", c->fields [i].value);
    if (command_get (c, "port"))
        zyre_set_port (node, command_number (c, "port", 0));
    if (command_get (c, "evasive"))
        zyre_set_evasive_timeout (node, command_number (c, "evasive", 0));
    if (command_get (c, "expired"))
        zyre_set_expired_timeout (node, command_number (c, "expired", 0));
    for (int i = 0; (item = command_item (c, "contests", i)); i++)
        zyre_set_contest_in_group (node, item);
    use_keys (c);
    use_gossip (c);
    for (int i = 0; (item = command_item (c, "groups", i)); i++)
        zyre_join (node, item);
    if (zyre_start (node))
        return "libzyre does not start";
    zpoller_add (poller, zyre_socket (node));
    json_field (reply, "uuid", zyre_uuid (node));
    reply_endpoint (reply);
    return NULL;
}

static const char *
do_join (const command_t *c, FILE *reply)
{
    return zyre_join (node, command_get (c, "group"))? "join": NULL;
}

static const char *
do_leave (const command_t *c, FILE *reply)
{
    return zyre_leave (node, command_get (c, "group"))? "leave": NULL;
}

static zmsg_t *
new_message (const command_t *c)
{
    const char *frame;
    zmsg_t *msg = zmsg_new ();
    for (int i = 0; (frame = command_item (c, "frames", i)); i++) {
        zchunk_t *chunk = zarmour_decode (base64, frame);
        // The armour counts a zero byte that it adds for strings.
        zmsg_addmem (msg, zchunk_data (chunk), zchunk_size (chunk) - 1);
        zchunk_destroy (&chunk);
    }
    return msg;
}

static void
send_to (const char *peer, const char *group, zmsg_t *msg)
{
    if (group)
        zyre_shout (node, group, &msg);
    else
        zyre_whisper (node, peer, &msg);
}

// Libzyre knows peers by upper-case digits only.
static char *
new_peer (const command_t *c)
{
    char *peer = strdup (command_get (c, "peer"));
    for (char *digit = peer; *digit; digit++)
        *digit = (char) toupper ((unsigned char) *digit);
    return peer;
}

static const char *
do_whisper (const command_t *c, FILE *reply)
{
    char *peer = new_peer (c);
    send_to (peer, NULL, new_message (c));
    free (peer);
    return NULL;
}

static const char *
do_shout (const command_t *c, FILE *reply)
{
    send_to (NULL, command_get (c, "group"), new_message (c));
    return NULL;
}

// Waits for events until fewer numbered messages are under way.
static bool
await_acknowledged (long number)
{
    while (acknowledged < number) {
        zpoller_t *alone = zpoller_new (zyre_socket (node), NULL);
        void *ready = zpoller_wait (alone, STALL);
        zpoller_destroy (&alone);
        if (!ready)
            return false;
        receive_all ();
    }
    return true;
}

static const char *
do_flood (const command_t *c, FILE *reply)
{
    long total = command_number (c, "count", 0), window = command_number (c, "window", 1);
    char *peer = new_peer (c);
    bool moves = true;
    for (long number = 0; moves && number < total; number++) {
        zmsg_t *msg = zmsg_new ();
        zmsg_addstrf (msg, "#%ld", number);
        send_to (peer, command_get (c, "group"), msg);
        receive_all ();
        moves = await_acknowledged (number + 1 - window);
    }
    free (peer);
    return moves && await_acknowledged (total)? NULL: "no acknowledgement";
}

static const char *
do_peers (const command_t *c, FILE *reply)
{
    const char *separator = "";
    zlist_t *peers = zyre_peers (node);
    fprintf (reply, ",\"peers\":[");
    for (char *peer = (char *) zlist_first (peers); peer; peer = (char *) zlist_next (peers)) {
        fputs (separator, reply);
        json_string (reply, peer);
        separator = ",";
    }
    fputc (']', reply);
    zlist_destroy (&peers);
    return NULL;
}

static const char *
do_stop (const command_t *c, FILE *reply)
{
    zyre_stop (node);
    return NULL;
}

static const struct {
    const char *name;
    command_fn *run;
} commands [] = {
    { "start", do_start }, { "join", do_join }, { "leave", do_leave },
    { "whisper", do_whisper }, { "shout", do_shout }, { "flood", do_flood },
    { "peers", do_peers }, { "stop", do_stop },
};

// Carries out the command on a line and replies.
static void
obey (char *line)
{
    command_t command;
    char *text = NULL;
    size_t size;
    FILE *reply = open_memstream (&text, &size);
    const char *error = command_read (&command, line)? "not JSON": "unknown command";
    const char *what = command_get (&command, "do");
    for (size_t i = 0; what && i < sizeof commands / sizeof *commands; i++)
        if (streq (commands [i].name, what))
            error = commands [i].run (&command, reply);
    if (error)
        json_field (reply, "error", error);
    fclose (reply);
    fprintf (out, "{\"reply\":\"%s\"%s}\n", what? what: "", text);
    fflush (out);
    free (text);
    command_free (&command);
}

// Reads what has come in on stdin and carries out the commands that are
// complete. Returns false at the end.
static bool
read_commands (void)
{
    static char *pending = NULL;
    static size_t used = 0, room = 0;
    if (room - used < 65536)
        pending = (char *) realloc (pending, room = 2 * room + 65536);
    ssize_t size = read (0, pending + used, room - used - 1);
    if (size <= 0)
        return false;
    char *end, *line = pending, *fresh = pending + used;
    used += (size_t) size;
    pending [used] = 0;
    for (; (end = strchr (fresh, '\n')); line = fresh = end + 1) {
        *end = 0;
        obey (line);
    }
    used -= (size_t) (line - pending);
    memmove (pending, line, used);
    return true;
}

// Leaves stdout to the lines: czmq prints there too, now and then.
static void
prepare (void)
{
    out = fdopen (dup (1), "w");
    dup2 (2, 1);
    zsys_handler_set (NULL);
    zsys_init ();
    zsys_set_logstream (stderr);
    // An actor that waits for room in a pipe answers no call, and what a
    // stopped node has said last should still leave.
    zsys_set_pipehwm (0);
    zsys_set_linger (1000);
    base64 = zarmour_new ();
    zarmour_set_mode (base64, ZARMOUR_MODE_BASE64_STD);
    zarmour_set_pad (base64, true);
    zarmour_set_line_breaks (base64, false);
    tallies = zhash_new ();
}

int
main (void)
{
    static int input = 0;
    prepare ();
    poller = zpoller_new (&input, NULL);
    zpoller_set_nonstop (poller, true);
    for (;;) {
        // At the end of stdin it says that nothing is ready.
        void *ready = zpoller_wait (poller, -1);
        if (ready && ready != &input)
            receive_all ();
        else
        if (!read_commands ())
            break;
        fflush (out);
    }
    zyre_destroy (&node);
    zactor_destroy (&auth);
    return 0;
}
