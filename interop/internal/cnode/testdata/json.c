#include "json.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PATH 512

// Reading goes through the line once. Texts are unescaped in place: they only
// become shorter.
typedef struct {
    char *at;
    command_t *command;
} reader_t;

static int read_value (reader_t *r, const char *path);

static void
skip_space (reader_t *r)
{
    while (isspace ((unsigned char) *r->at))
        r->at++;
}

// Takes a character, if it is next.
static int
take (reader_t *r, char c)
{
    skip_space (r);
    if (*r->at != c)
        return 0;
    r->at++;
    return 1;
}

static void
add (reader_t *r, const char *path, char *value)
{
    command_t *c = r->command;
    c->fields = (field_t *) realloc (c->fields, (c->count + 1) * sizeof (field_t));
    c->fields [c->count].path = strdup (path);
    c->fields [c->count++].value = value;
}

// Writes a character of the basic plane in UTF-8.
static char *
put_utf8 (char *out, unsigned code)
{
    if (code < 0x80)
        *out++ = (char) code;
    else
    if (code < 0x800) {
        *out++ = (char) (0xC0 | code >> 6);
        *out++ = (char) (0x80 | (code & 0x3F));
    }
    else {
        *out++ = (char) (0xE0 | code >> 12);
        *out++ = (char) (0x80 | (code >> 6 & 0x3F));
        *out++ = (char) (0x80 | (code & 0x3F));
    }
    return out;
}

// Reads what follows a backslash.
static char *
read_escape (reader_t *r, char *out)
{
    static const char from [] = "\"\\/bfnrt", to [] = "\"\\/\b\f\n\r\t";
    char c = *r->at++;
    if (c == 'u') {
        char digits [5] = "";
        strncpy (digits, r->at, 4);
        r->at += strlen (digits);
        return put_utf8 (out, (unsigned) strtoul (digits, NULL, 16));
    }
    const char *found = c? strchr (from, c): NULL;
    if (!found)
        return NULL;
    *out++ = to [found - from];
    return out;
}

// Returns a string, or NULL if there is none.
static char *
read_string (reader_t *r)
{
    if (!take (r, '"'))
        return NULL;
    char *text = r->at, *out = text;
    while (*r->at && *r->at != '"') {
        if (*r->at != '\\')
            *out++ = *r->at++;
        else {
            r->at++;
            if (!(out = read_escape (r, out)))
                return NULL;
        }
    }
    if (!*r->at)
        return NULL;
    r->at++;
    *out = 0;
    return text;
}

static int
read_object (reader_t *r, const char *path)
{
    char below [MAX_PATH];
    if (take (r, '}'))
        return 0;
    do {
        char *name = read_string (r);
        if (!name || !take (r, ':'))
            return -1;
        snprintf (below, sizeof below, "%s%s%s", path, *path? ".": "", name);
        if (read_value (r, below))
            return -1;
    } while (take (r, ','));
    return take (r, '}')? 0: -1;
}

static int
read_array (reader_t *r, const char *path)
{
    char below [MAX_PATH];
    if (take (r, ']'))
        return 0;
    int index = 0;
    do {
        snprintf (below, sizeof below, "%s.%d", path, index++);
        if (read_value (r, below))
            return -1;
    } while (take (r, ','));
    return take (r, ']')? 0: -1;
}

// Reads a number or a word. What ends it may be needed by the caller, so it
// cannot be ended in place: it is moved one to the left, over what was before.
static int
read_word (reader_t *r, const char *path)
{
    char *begin = r->at;
    size_t size = strspn (begin, "+-.0123456789abcdefghijklmnopqrstuvwxyzE");
    if (!size)
        return -1;
    memmove (begin - 1, begin, size);
    begin [size - 1] = 0;
    r->at += size;
    add (r, path, begin - 1);
    return 0;
}

static int
read_value (reader_t *r, const char *path)
{
    if (take (r, '{'))
        return read_object (r, path);
    if (take (r, '['))
        return read_array (r, path);
    if (*r->at != '"')
        return read_word (r, path);
    char *text = read_string (r);
    if (text)
        add (r, path, text);
    return text? 0: -1;
}

int
command_read (command_t *command, char *line)
{
    reader_t r = { line, command };
    command->fields = NULL;
    command->count = 0;
    return take (&r, '{')? read_object (&r, ""): -1;
}

void
command_free (command_t *command)
{
    for (size_t i = 0; i < command->count; i++)
        free (command->fields [i].path);
    free (command->fields);
}

const char *
command_get (const command_t *command, const char *path)
{
    for (size_t i = 0; i < command->count; i++)
        if (strcmp (command->fields [i].path, path) == 0)
            return command->fields [i].value;
    return NULL;
}

const char *
command_item (const command_t *command, const char *array, int index)
{
    char path [MAX_PATH];
    snprintf (path, sizeof path, "%s.%d", array, index);
    return command_get (command, path);
}

const char *
command_member (const command_t *command, const char *array, int index, const char *member)
{
    char path [MAX_PATH];
    snprintf (path, sizeof path, "%s.%d.%s", array, index, member);
    return command_get (command, path);
}

long
command_number (const command_t *command, const char *path, long otherwise)
{
    const char *value = command_get (command, path);
    return value? strtol (value, NULL, 10): otherwise;
}

void
json_string (FILE *out, const char *text)
{
    fputc ('"', out);
    for (; *text; text++) {
        unsigned char c = (unsigned char) *text;
        if (c == '"' || c == '\\')
            fprintf (out, "\\%c", c);
        else
        if (c < 0x20)
            fprintf (out, "\\u%04x", c);
        else
            fputc (c, out);
    }
    fputc ('"', out);
}

void
json_field (FILE *out, const char *name, const char *text)
{
    fputc (',', out);
    json_string (out, name);
    fputc (':', out);
    json_string (out, text);
}
