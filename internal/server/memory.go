package server

// idleMemory is set aside and never touched, so that it takes no memory of the
// machine and yet counts for the garbage collector, which comes when the heap has
// doubled. A server lives on 5 MiB: it would be swept twenty times a second while
// it issues, for a quarter of its processor time.
const idleMemory = 32 << 20
