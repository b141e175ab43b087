//  The process: reads requests, serves them, ends with its input

#include "zyreperf.h"

#include <sys/resource.h>

request_t request;
party_t *parties;
int parties_nbr;
char (*uuids) [64];

//  Requests are served one after the other, beside the thread that reads them

static void *
s_serve (void *unused)
{
    static const struct { const char *doing; void (*serve) (void); } table [] = {
        { "open", serve_open }, { "meet", serve_meet }, { "peers", serve_peers },
        { "send", serve_send }, { "receive", serve_receive },
        { "ping", serve_ping }, { "echo", serve_echo },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (streq (request.doing, table [i].doing)) {
            table [i].serve ();
            fflush (stdout);
            return unused;
        }
    printf ("{\"error\":\"unknown request\"}\n");
    fflush (stdout);
    return unused;
}

//  As many nodes as the system allows, and no czmq in the way of signals
static void
s_prepare (void)
{
    struct rlimit files;
    if (getrlimit (RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit (RLIMIT_NOFILE, &files);
    }
    zsys_handler_set (NULL);
    zsys_set_max_sockets (0);
    zsys_set_logstream (stderr);
}

int
main (void)
{
    s_prepare ();
    char *line = NULL;
    size_t room = 0;
    pthread_t server;
    bool serving = false;
    while (getline (&line, &room, stdin) > 0) {
        if (serving)
            pthread_join (server, NULL);
        request_parse (line);
        serving = pthread_create (&server, NULL, s_serve, NULL) == 0;
        if (!serving)
            return 1;
    }
    //  The benchmark has stopped, or has died
    _exit (0);
}
