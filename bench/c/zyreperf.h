//  zyreperf - the worker for libzyre itself: the C program that the other
//  workers are compared to. It does what the workers in Go do, request for
//  request, see internal/protocol and internal/worker.

#ifndef ZYREPERF_H
#define ZYREPERF_H

#define _GNU_SOURCE
#include <zyre.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdint.h>

#define GROUP "BENCH"
#define ACK_SIZE 16
#define LAST_AT 8

//  One node, whose name is its number
typedef struct {
    zyre_t *node;
    int number;
    int entered, joined;
    pthread_t thread;

    //  Receiver: what came
    uint64_t next, acked;
    int64_t received, lost, wrong;
} party_t;

//  What the request says that is being served; 0 or "" where it says nothing
typedef struct {
    char doing [16];
    int first, nodes, total, port;
    char interface [64], hub [128];
    int idle, curve;
    size_t size;
    int shout;
    uint64_t window, every, max;
    int64_t warm_ms, run_ms, deadline_ms;
} request_t;

extern request_t request;
extern party_t *parties;
extern int parties_nbr;
extern char (*uuids) [64];      //  of all parties, by number

//  request.c
void request_parse (const char *line);

//  nodes.c
void serve_open (void);
void serve_meet (void);
void serve_peers (void);

//  traffic.c
void serve_send (void);
void serve_receive (void);

//  pingpong.c
void serve_ping (void);
void serve_echo (void);

//  message.c
int64_t now_ns (clockid_t clock);
int64_t mono_ns (void);
void body_put (uint8_t *body, uint64_t number, int last);
uint64_t body_get (const uint8_t *body);
zmsg_t *body_message (const uint8_t *body, size_t size);
zframe_t *event_body (zyre_event_t *event);
void party_whisper (party_t *self, int to, const uint8_t *body, size_t size);
zyre_event_t *party_recv (party_t *self);

//  Answers a request with an error; there must be no quotes in it
#define FAIL(...) do { \
    printf ("{\"error\":\""); printf (__VA_ARGS__); printf ("\"}\n"); \
    return; \
} while (0)

#endif
