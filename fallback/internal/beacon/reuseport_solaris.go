package beacon

// reusePort is unknown to package syscall here; SO_REUSEADDR has to do.
const reusePort = 0
