/* The emulated card, as translated kernels see it: threads, memory that is checked at every access, arithmetic with the
   card's own NaN. Everything inline is on the path of each instruction; the rest is in machine.c, meetings.c, memory.c and races.c. */
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

typedef _Bool b;
typedef uint8_t u8;
typedef int8_t s8;
typedef uint16_t u16;
typedef int16_t s16;
typedef uint32_t u32;
typedef int32_t s32;
typedef uint64_t u64;
typedef int64_t s64;
typedef float f32;
typedef double f64;

/* The card's memory is one span of addresses; each byte has a state, each word the history of its accesses. */
#define ARENA 0x100000000000ull
#define ARENA_SIZE (1ull << 34)
#define STATES 0x110000000000ull
#define HISTORIES 0x120000000000ull
#define HISTORY_BYTES 12 /* for each byte */
#define SHARED_WINDOW 0x7f000000ull /* generic addresses of shared memory */
#define SHARED_LIMIT (1u << 20)
#define STACK_BYTES (256u << 10)
enum { NOWHERE, UNWRITTEN, WRITTEN, GUARD, FREED }; /* of a byte */

enum {
    READ = 1,
    WRITE = 2,
    STRONG = 4,
    ATOMIC = 8,
    ACQUIRE = 16,
    RELEASE = 32,
    CONSTANT = 64, /* a load that promises that nobody writes */
    COPY = 128,    /* a part of an asynchronous copy */
    SCOPE_CTA = 0x100,
    SCOPE_CLUSTER = 0x200,
    SCOPE_GPU = 0x300,
    SCOPE_SYS = 0x400,
    SCOPE = 0x700
};

typedef enum {
    NO_FAULT,
    OUT_OF_BOUNDS,
    MISALIGNED,
    USE_AFTER_FREE,
    UNINITIALISED,
    RACE,
    SPLIT_BARRIER,
    DEADLOCK,
    LIVELOCK,
    NOT_RESIDENT,
    WARP_MASK,
    ENDLESS,
    COPY_FAULT,
    TRAP,
    BAD_LAUNCH
} FaultKind;

typedef struct {
    u32 line, source_line;
    const char *file, *text;
} Site;

typedef struct {
    const char *name;
    u64 bytes;
    u32 align;
    const u8 *data;
    u32 constant;
} Variable;

struct Thread;
typedef struct {
    const char *name;
    void (*body)(struct Thread *);
    u32 parameters, parameter_bytes;
    const u32 *offsets, *sizes;
    u32 static_shared, most_threads, least_blocks;
} Kernel;

typedef struct {
    const Kernel *kernels;
    u32 kernel_count;
    const Variable *variables;
    u32 variable_count;
    u64 *variable_at;
    const Site *sites;
    u32 site_count;
    u32 target;
} Image;

typedef struct {
    u32 arrived, expected, site;
    struct Knowledge *gathered; /* races: what those that arrived know, */
    u32 clock;                  /* the latest of their clocks, */
    b partial;                  /* and whether not all of the block wait here */
} Barrier;

typedef struct {
    u32 to, site, bytes, read, group;
    u64 from;
} AsyncCopy;

typedef struct Thread {
    void *stack_pointer;
    u8 *stack;
    struct Block *block;
    struct Grid *grid;
    u32 tid[3], rank, lane;
    u32 state, site;                                   /* where it waits */
    u32 barrier;                                       /* at which barrier */
    u32 meeting, mask, operand, clamp, value, result;  /* a warp's instruction: which, with whom, what */
    b flag;
    AsyncCopy *copies;
    u32 copy_count, copy_room, group;
    /* races */
    u32 number, clock; /* of the grid's threads; advances at what orders */
    u64 strong;        /* where its last strong load was */
    struct Knowledge *known, *released[2], *pending[2]; /* by fences and relaxed accesses: of the block, of the card */
} Thread;

typedef struct Block {
    u32 index[3], number, multiprocessor, gone;
    u8 *shared, *states;
    struct History *histories;
    u32 stamp; /* of its histories */
    Barrier barriers[16];
    Thread *threads;
} Block;

typedef struct Grid {
    u32 grid_size[3], block_size[3], threads, blocks, dynamic_shared, shared_end, multiprocessors;
    const u8 *parameters;
    const Image *image;
    const Kernel *kernel;
    u64 ticks, fuel, progress;
    u32 operation; /* its number among all launches, copies and fills */
    int together;
} Grid;

/* machine.c, meetings.c */
void turn(Thread *me); /* lets others run */
void fault(Thread *me, u32 site, FaultKind kind, u64 address) __attribute__((noreturn));
void endless(Thread *me, u32 site) __attribute__((noreturn));
void leave(Thread *me) __attribute__((noreturn));
void barrier_wait(Thread *me, u32 site, u32 id, u32 count, int aligned);
void barrier_arrive(Thread *me, u32 site, u32 id, u32 count, int aligned);
enum { REDUCE_POPC, REDUCE_AND, REDUCE_OR };
u32 barrier_reduce(Thread *me, u32 site, u32 id, u32 count, b value, int how);
void warp_barrier(Thread *me, u32 site, u32 mask);
enum { SHUFFLE_UP, SHUFFLE_DOWN, SHUFFLE_BFLY, SHUFFLE_IDX };
u32 shuffle(Thread *me, u32 site, int mode, u32 value, u32 lane, u32 clamp, u32 mask, b *in_range);
enum { VOTE_ALL, VOTE_ANY, VOTE_UNI, VOTE_BALLOT };
u32 vote(Thread *me, u32 site, int mode, b value, u32 mask);
enum { REDUX_ADD, REDUX_MIN, REDUX_MAX, REDUX_AND, REDUX_OR, REDUX_XOR };
u32 reduce_warp(Thread *me, u32 site, int mode, int is_signed, u32 value, u32 mask);
void copy_begin(Thread *me, u32 site, u64 to, u64 from, u32 bytes, u32 read);
void copy_commit(Thread *me);
void copy_wait(Thread *me, u32 pending);
void fence(Thread *me, u32 site, u32 scope);
extern u64 machine_progress;

/* memory.c: the slow side of an access; they return where it is allowed after all. */
void look_global(Thread *me, u32 site, u64 address, u32 n, u32 flags);
void look_shared(Thread *me, u32 site, u64 address, u32 n, u32 flags);
/* races.c */
void race_global(Thread *me, u32 site, u64 address, u32 n, u32 flags);
void race_shared(Thread *me, u32 site, u64 address, u32 n, u32 flags);
/* trace.c: bank conflicts and sectors */
extern int tracing;
void trace(Thread *me, u32 site, u64 address, u32 n, int space);

/* Access. With the check for races most of the time goes there, and inlining would only cost the compiler's. */
#ifdef RACES
#define ACCESS static __attribute__((noinline, unused))
#else
#define ACCESS static inline
#endif

/* Spinning is a strong load of one place again and again; anything else goes on. */
static inline void strong_moved(Thread *me, u64 address, u32 flags) {
    machine_progress += flags & WRITE || me->strong != address;
    me->strong = address;
}

static inline b all_written(const u8 *state, u32 n) {
    u64 x, y, z, w;
    u32 k;
    u16 h;
    switch (n) {
        case 1: return *state == WRITTEN;
        case 2: memcpy(&h, state, 2); return h == 0x0202;
        case 4: memcpy(&k, state, 4); return k == 0x02020202u;
        case 8: memcpy(&x, state, 8); return x == 0x0202020202020202ull;
        case 16: memcpy(&x, state, 8); memcpy(&y, state + 8, 8); return ((x ^ 0x0202020202020202ull) | (y ^ 0x0202020202020202ull)) == 0;
        default:
            memcpy(&x, state, 8); memcpy(&y, state + 8, 8); memcpy(&z, state + 16, 8); memcpy(&w, state + 24, 8);
            return x == 0x0202020202020202ull && y == x && z == x && w == x;
    }
}

ACCESS u8 *access_global(Thread *me, u32 site, u64 a, u32 n, u32 flags) {
    u64 at = a - ARENA;
    if (__builtin_expect((a & (n - 1)) || at >= ARENA_SIZE || !all_written((u8 *)STATES + at, n), 0)) {
        look_global(me, site, a, n, flags);
        if (flags & WRITE) memset((u8 *)STATES + at, WRITTEN, n);
    }
    if (flags & STRONG && !(flags & ATOMIC)) strong_moved(me, a, flags);
#ifdef RACES
    race_global(me, site, a, n, flags);
    if (__builtin_expect(tracing, 0)) trace(me, site, a, n, 0);
#endif
    return (u8 *)a;
}

ACCESS u8 *access_shared(Thread *me, u32 site, u64 a, u32 n, u32 flags) {
    u32 at = (u32)a;
    if (__builtin_expect((at & (n - 1)) || at + n > me->grid->shared_end || !all_written(me->block->states + at, n), 0)) {
        look_shared(me, site, at, n, flags);
        if (flags & WRITE) memset(me->block->states + at, WRITTEN, n);
    }
    if (flags & STRONG && !(flags & ATOMIC)) strong_moved(me, a, flags);
#ifdef RACES
    race_shared(me, site, at, n, flags);
    if (__builtin_expect(tracing, 0)) trace(me, site, at, n, 1);
#endif
    return me->block->shared + at;
}

ACCESS u8 *access_local(Thread *me, u32 site, u64 a, u32 n, u32 flags) {
    (void)flags;
    if (a & (n - 1)) fault(me, site, MISALIGNED, a);
    if (a < (u64)me->stack || a + n > (u64)me->stack + STACK_BYTES) fault(me, site, OUT_OF_BOUNDS, a);
    return (u8 *)a;
}

static inline b is_shared(Thread *me, u64 a) { (void)me; return a - SHARED_WINDOW < SHARED_LIMIT; }
static inline b is_local(Thread *me, u64 a) { return a - (u64)me->stack < STACK_BYTES; }
static inline b is_global(Thread *me, u64 a) { return !is_shared(me, a) && !is_local(me, a); }

ACCESS u8 *access_generic(Thread *me, u32 site, u64 a, u32 n, u32 flags) {
    if (is_shared(me, a)) return access_shared(me, site, a - SHARED_WINDOW, n, flags);
    if (is_local(me, a)) return access_local(me, site, a, n, flags);
    return access_global(me, site, a, n, flags);
}

static inline void again(Thread *me, u32 site) {
    if (__builtin_expect(--me->grid->fuel == 0, 0)) endless(me, site);
}
static inline void moved(b changed) { machine_progress += changed; }

#include "arithmetic.h"
