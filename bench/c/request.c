//  Requests are flat JSON objects whose strings have no escapes

#include "zyreperf.h"

static const char *
s_find (const char *line, const char *key)
{
    char quoted [32];
    snprintf (quoted, sizeof quoted, "\"%s\":", key);
    const char *found = strstr (line, quoted);
    return found? found + strlen (quoted): NULL;
}

static int64_t
s_number (const char *line, const char *key)
{
    const char *value = s_find (line, key);
    if (!value)
        return 0;
    return strncmp (value, "true", 4) == 0? 1: strtoll (value, NULL, 10);
}

static void
s_string (const char *line, const char *key, char *into, size_t room)
{
    const char *value = s_find (line, key);
    size_t length = 0;
    if (value && *value == '"')
        length = strcspn (++value, "\"");
    if (length >= room)
        length = room - 1;
    if (length)
        memcpy (into, value, length);
    into [length] = 0;
}

void
request_parse (const char *line)
{
    s_string (line, "do", request.doing, sizeof request.doing);
    s_string (line, "interface", request.interface, sizeof request.interface);
    s_string (line, "hub", request.hub, sizeof request.hub);
    request.first = s_number (line, "first");
    request.nodes = s_number (line, "nodes");
    request.total = s_number (line, "total");
    request.port = s_number (line, "port");
    request.idle = s_number (line, "idle");
    request.curve = s_number (line, "curve");
    request.size = s_number (line, "size");
    request.shout = s_number (line, "shout");
    request.window = s_number (line, "window");
    request.every = s_number (line, "every");
    request.max = s_number (line, "max");
    request.warm_ms = s_number (line, "warm_ms");
    request.run_ms = s_number (line, "run_ms");
    request.deadline_ms = s_number (line, "deadline_ms");
}
