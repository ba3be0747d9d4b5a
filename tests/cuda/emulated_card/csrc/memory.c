/* The card's memory: one span of addresses, each allocation between guard bands, each byte with a state. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "machine.h"

#define BAND 512u
#define REMEMBERED 1024

u64 memory_total;
static Allocation *live;
static u32 live_count, live_room;
static Allocation freed[REMEMBERED]; /* a ring, to name what was freed */
static u64 freed_count, next_at, used, numbers;

static int reserve(u64 at, u64 bytes) {
    return mmap((void *)at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0) != (void *)at;
}

int memory_begin(void) {
    static int begun;
    if (begun) return 0;
    if (reserve(ARENA, ARENA_SIZE) || reserve(STATES, ARENA_SIZE) || reserve(HISTORIES, HISTORY_BYTES * ARENA_SIZE)) return 1;
    begun = 1;
    next_at = ARENA + BAND;
    return 0;
}

static u64 span(const Allocation *a) { return (a->bytes + BAND - 1) / BAND * BAND + BAND; }

static int by_address(const void *x, const void *y) {
    u64 p = ((const Allocation *)x)->at, q = ((const Allocation *)y)->at;
    return p < q ? -1 : p > q;
}

/* Addresses are not used again before the end of the span is reached, so that what is freed stays recognizable. */
static u64 find_place(u64 bytes) {
    Allocation want = {0, bytes, 0, 0, 0};
    if (next_at + span(&want) <= ARENA + ARENA_SIZE) {
        u64 at = next_at;
        next_at += span(&want);
        return at;
    }
    qsort(live, live_count, sizeof *live, by_address);
    u64 at = ARENA + BAND;
    for (u32 k = 0; k <= live_count; k++) {
        u64 end = k < live_count ? live[k].at - BAND : ARENA + ARENA_SIZE - BAND;
        if (at + span(&want) <= end) return at;
        if (k < live_count) at = live[k].at + span(live + k);
    }
    return 0;
}

u64 memory_take(u64 bytes, u64 align, int kind, void *pool) {
    (void)align;
    int on_card = kind != MEMORY_HOST;
    if (on_card && used + bytes > memory_total) return 0;
    u64 at = find_place(bytes);
    if (!at) return 0;
    if (live_count == live_room) live = realloc(live, sizeof *live * (live_room = 2 * live_room + 64));
    live[live_count++] = (Allocation){at, bytes, kind, pool, ++numbers};
    if (on_card) used += bytes;
    u8 *state = (u8 *)(at - ARENA + STATES);
    memset((void *)at, 0xff, bytes); /* not a number, until somebody writes */
    memset(state, kind == MEMORY_HOST ? WRITTEN : UNWRITTEN, bytes);
    memset(state - BAND, GUARD, BAND);
    memset(state + bytes, GUARD, span(live + live_count - 1) - bytes);
    return at;
}

static void let_pages_go(u64 at, u64 bytes) {
    u64 from = (at + 4095) & ~4095ull, to = (at + bytes) & ~4095ull;
    if (from < to) madvise((void *)from, to - from, MADV_DONTNEED);
}

static void describe(char *out, size_t room, u64 address);

int memory_give_back(u64 at, int kind) {
    for (u32 k = 0; k < live_count; k++) {
        if (live[k].at != at) continue;
        if ((live[k].kind == MEMORY_HOST) != (kind == MEMORY_HOST)) break;
        Allocation a = live[k];
        live[k] = live[--live_count];
        freed[freed_count++ % REMEMBERED] = a;
        if (a.kind != MEMORY_HOST) used -= a.bytes;
        memset((void *)(a.at - ARENA + STATES), FREED, a.bytes);
        let_pages_go(a.at, a.bytes);
        let_pages_go(HISTORIES + HISTORY_BYTES * (a.at - ARENA), HISTORY_BYTES * a.bytes);
        return 0;
    }
    char near[300];
    describe(near, sizeof near, at);
    last_fault.kind = OUT_OF_BOUNDS;
    snprintf(last_fault.text, sizeof last_fault.text, "freed what is not allocated: 0x%llx, %s", (unsigned long long)at, near);
    for (u32 k = 0; k < REMEMBERED && k < freed_count; k++)
        if (freed[k].at == at) {
            last_fault.kind = USE_AFTER_FREE;
            snprintf(last_fault.text, sizeof last_fault.text, "freed twice: 0x%llx, %llu bytes", (unsigned long long)at, (unsigned long long)freed[k].bytes);
        }
    return 1;
}

const Allocation *memory_of(u64 at) {
    for (u32 k = 0; k < live_count; k++)
        if (at - live[k].at < live[k].bytes || at == live[k].at) return live + k;
    return 0;
}

u64 memory_used(void) { return used; }

void memory_reset(void) {
    while (live_count) memory_give_back(live[live_count - 1].at, live[live_count - 1].kind);
    used = 0;
}

/* The allocation that an address means, as well as one can tell. */
static void describe(char *out, size_t room, u64 address) {
    const Allocation *best = 0;
    u64 least = ~0ull;
    for (u32 k = 0; k < live_count; k++) {
        u64 far = address < live[k].at ? live[k].at - address : address < live[k].at + live[k].bytes ? 0 : address - live[k].at - live[k].bytes + 1;
        if (far < least) least = far, best = live + k;
    }
    for (u32 k = 0; k < REMEMBERED && k < freed_count; k++)
        if (address - freed[k].at < freed[k].bytes && least) {
            snprintf(out, room, "byte %llu of %llu that were freed", (unsigned long long)(address - freed[k].at), (unsigned long long)freed[k].bytes);
            return;
        }
    if (!best) snprintf(out, room, "nothing is allocated");
    else if (!least) snprintf(out, room, "byte %llu of an allocation of %llu", (unsigned long long)(address - best->at), (unsigned long long)best->bytes);
    else if (least > 1 << 24) snprintf(out, room, "far from every allocation");
    else snprintf(out, room, "%llu bytes %s an allocation of %llu", (unsigned long long)least,
             address < best->at ? "before" : "past the end of", (unsigned long long)best->bytes);
}

void look_global(Thread *me, u32 site, u64 a, u32 n, u32 flags) {
    char near[300];
    const char *what = flags & WRITE ? flags & READ ? "updates" : "stores to" : "loads from";
    if (a & (n - 1)) fault_with(me, site, MISALIGNED, "%s 0x%llx, %u bytes", what, (unsigned long long)a, n);
    FaultKind kind = NO_FAULT;
    if (a < ARENA || a + n > ARENA + ARENA_SIZE) kind = OUT_OF_BOUNDS;
    for (u32 k = 0; k < n && !kind; k++) {
        u8 state = ((u8 *)STATES)[a - ARENA + k];
        if (state == FREED) kind = USE_AFTER_FREE;
        else if (state == NOWHERE || state == GUARD) kind = OUT_OF_BOUNDS;
        else if (state == UNWRITTEN && flags & READ && settings.uninitialised) kind = UNINITIALISED;
        if (kind) a += k;
    }
    if (!kind) return;
    describe(near, sizeof near, a);
    fault_with(me, site, kind, "%s global 0x%llx, %u bytes: %s", what, (unsigned long long)a, n, near);
}

void look_shared(Thread *me, u32 site, u64 a, u32 n, u32 flags) {
    const char *what = flags & WRITE ? flags & READ ? "updates" : "stores to" : "loads from";
    u32 end = me->grid->shared_end, dynamic = me->grid->dynamic_shared;
    if (a & (n - 1)) fault_with(me, site, MISALIGNED, "%s shared 0x%llx, %u bytes", what, (unsigned long long)a, n);
    if (a < 1024 || a + n > end)
        fault_with(me, site, OUT_OF_BOUNDS, "%s byte %lld of %u bytes of shared memory (%u of them dynamic)", what, (long long)a - 1024, end - 1024, dynamic);
    for (u32 k = 0; k < n; k++)
        if (me->block->states[a + k] == UNWRITTEN && flags & READ && settings.uninitialised)
            fault_with(me, site, UNINITIALISED, "%s byte %lld of shared memory, which nobody wrote", what, (long long)a + k - 1024);
}

int memory_check(u64 at, u64 bytes, int writes, const char *what) {
    char near[300];
    if (at - ARENA >= ARENA_SIZE) return 0; /* the host's */
    for (u64 k = 0; k < bytes; k++) {
        u8 state = ((u8 *)STATES)[at - ARENA + k];
        if (state == UNWRITTEN || state == WRITTEN) continue;
        describe(near, sizeof near, at + k);
        last_fault.kind = state == FREED ? USE_AFTER_FREE : OUT_OF_BOUNDS;
        snprintf(last_fault.text, sizeof last_fault.text, "%s: %s %s 0x%llx, %llu bytes: %s", fault_name(last_fault.kind), what,
            writes ? "writes" : "reads", (unsigned long long)at, (unsigned long long)bytes, near);
        return 1;
    }
    return 0;
}

void memory_written(u64 at, u64 bytes) {
    if (at - ARENA < ARENA_SIZE) memset((void *)(at - ARENA + STATES), WRITTEN, bytes);
}
