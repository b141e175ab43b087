// The JSON of a driver's command lines and of what it says, and no more.

#ifndef JSON_H
#define JSON_H

#include <stddef.h>
#include <stdio.h>

// A value of a command under its path, such as "name", "groups.0" or
// "headers.X-ROLE".
typedef struct {
    char *path;
    char *value;
} field_t;

// A command. Its values live in the line that it was read from.
typedef struct {
    field_t *fields;
    size_t count;
} command_t;

// Reads a line that holds one object, and changes it. Returns 0, or -1 if it
// is not JSON. The command is to be freed in both cases.
int command_read (command_t *command, char *line);
void command_free (command_t *command);

// The value under a path, or NULL.
const char *command_get (const command_t *command, const char *path);

// The item of an array with that index, or NULL behind the last.
const char *command_item (const command_t *command, const char *array, int index);

// The member of an object in an array, such as "connect.0.key", or NULL.
const char *command_member (const command_t *command, const char *array, int index, const char *member);

// The number under a path, or a default.
long command_number (const command_t *command, const char *path, long otherwise);

// Writes a string in quotes; bytes outside ASCII stay as they are.
void json_string (FILE *out, const char *text);

// Writes a comma, a name, a colon and a string.
void json_field (FILE *out, const char *name, const char *text);

#endif
