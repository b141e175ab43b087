//go:build cgo && !purego

// Waiting for the inbox.

#include <zyre.h>
#include <fcntl.h>
#include <unistd.h>
#include "zyre_cgo.h"

#ifdef __linux__
#include <sys/epoll.h>
#endif

// The descriptor that becomes readable when the inbox may have messages. It
// is libzmq's to close.
int
zg_inbox_fd (zg_node *node)
{
    int fd = -1;
    size_t size = sizeof fd;
    if (zmq_getsockopt (node->inbox, ZMQ_FD, &fd, &size))
        return -1;
    return fd;
}

#ifdef __linux__

// Returns a descriptor that is readable when the inbox is, while it is armed.
int
zg_bell (int inbox)
{
    (void) inbox;
    int bell = epoll_create1 (EPOLL_CLOEXEC);
    if (bell >= 0)
        fcntl (bell, F_SETFL, O_NONBLOCK);  // Go takes no other for its netpoller
    return bell;
}

int
zg_arm (int bell, int inbox)
{
    struct epoll_event event = { .events = EPOLLIN };
    return epoll_ctl (bell, EPOLL_CTL_ADD, inbox, &event);
}

void
zg_disarm (int bell, int inbox)
{
    struct epoll_event event = { .events = EPOLLIN };
    epoll_ctl (bell, EPOLL_CTL_DEL, inbox, &event);
}

#else

// Elsewhere it is always armed, a copy of the inbox's.
int
zg_bell (int inbox)
{
    return fcntl (inbox, F_DUPFD_CLOEXEC, 0);
}

int
zg_arm (int bell, int inbox)
{
    (void) bell, (void) inbox;
    return 0;
}

void
zg_disarm (int bell, int inbox)
{
    (void) bell, (void) inbox;
}

#endif
