/* What the parts of the emulated card share among themselves. */
#pragma once
#include <stddef.h>

#include "card.h"

typedef struct {
    int order;           /* 0 forwards, 1 backwards, more: the seed of a random order */
    int uninitialised;   /* report reads of what nobody wrote */
    int races;
    int multiprocessors, resident;
    u64 fuel;
} Settings;
extern Settings settings;

typedef struct {
    FaultKind kind;
    char text[4096];
} Fault;
extern Fault last_fault;
const char *fault_name(FaultKind kind);

/* machine.c: runs a launch; 0 or the kind of the fault, which last_fault describes. */
FaultKind run_grid(Grid *grid);
void fault_with(Thread *me, u32 site, FaultKind kind, const char *format, ...) __attribute__((noreturn, format(printf, 4, 5)));
void place_text(char *out, size_t room, const Image *image, u32 site);
enum { RUNNABLE, AT_BARRIER, AT_MEETING, GONE }; /* of a thread */

/* meetings.c: a warp's threads go on where all that are named are there; without `last`, since a thread has left. */
void meet_if_all_are_here(Block *block, u32 warp, Thread *last);

/* memory.c */
typedef struct {
    u64 at, bytes;
    int kind; /* of whom: MEMORY_* */
    void *pool;
    u64 number;
} Allocation;
enum { MEMORY_DEVICE, MEMORY_POOL, MEMORY_HOST, MEMORY_MANAGED, MEMORY_VARIABLE };
int memory_begin(void);
u64 memory_take(u64 bytes, u64 align, int kind, void *pool);
int memory_give_back(u64 at, int kind); /* 0, or 1: no such allocation; last_fault says what it was */
const Allocation *memory_of(u64 at);
int memory_check(u64 at, u64 bytes, int writes, const char *what); /* of a copy: 0, or a fault */
void memory_written(u64 at, u64 bytes);
u64 memory_used(void);
void memory_reset(void);
extern u64 memory_total;

/* races.c */
void races_begin(Grid *grid);
void races_end(Grid *grid);
void races_block(Block *block, u32 shared_bytes);
void races_thread(Thread *t);
void races_thread_gone(Thread *t);
void races_barrier_arrive(Thread *me, Barrier *barrier, b waits);
void races_barrier_complete(Block *block, Barrier *barrier, Thread **waiting, u32 n);
u32 races_stamp(u64 at, u64 bytes, b writes, u32 operation, b (*is_before)(u32 earlier));
void races_warp(Thread **threads, int n);
