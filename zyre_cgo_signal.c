//go:build cgo && !purego

// Signals, which libzyre and czmq do not stand.

#include <signal.h>
#include "zyre_cgo.h"

// A signal that lands in the middle of a call does harm everywhere in libzyre
// and czmq: half a command goes to the node's actor, which aborts; a reply is
// left behind and read by the next call; an actor that is being created takes
// it for the end of the program. So all signals are blocked around each call
// that uses the actor's pipe, and threads that czmq starts inherit the mask:
// no signal ever reaches them. What Go wants to know of is delivered right
// after. Signals that a fault in this very thread raises stay open.
void
zg_block_signals (sigset_t *old)
{
    sigset_t all;
    sigfillset (&all);
    sigdelset (&all, SIGSEGV);
    sigdelset (&all, SIGBUS);
    sigdelset (&all, SIGFPE);
    sigdelset (&all, SIGILL);
    sigdelset (&all, SIGABRT);
    sigdelset (&all, SIGTRAP);
    pthread_sigmask (SIG_BLOCK, &all, old);
}

void
zg_restore_signals (const sigset_t *old)
{
    pthread_sigmask (SIG_SETMASK, old, NULL);
}
