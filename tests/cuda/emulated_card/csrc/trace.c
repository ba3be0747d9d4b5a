/* A log of accesses, for counting bank conflicts; banks.py reads it. Only modules compiled for the race check write it. */
#include "machine.h"

typedef struct {
    u64 address;
    const Site *site;
    u32 block, rank, bytes, shared;
} Access;

int tracing;
static Access *log_begin;
static u64 log_count, log_room;

__attribute__((visibility("default"))) void emulated_trace(Access *log, u64 room) {
    log_begin = log;
    log_room = room;
    log_count = 0;
    tracing = log != 0;
}

/* How many accesses there were; more than there was room for are lost. */
__attribute__((visibility("default"))) u64 emulated_traced(void) { return log_count; }

void trace(Thread *me, u32 site, u64 address, u32 n, int shared) {
    if (log_count < log_room) log_begin[log_count] = (Access){address, me->grid->image->sites + site, me->block->number, me->rank, n, shared};
    log_count++;
}
