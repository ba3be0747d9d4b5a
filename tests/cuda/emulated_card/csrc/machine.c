/* The multiprocessors: every thread a fiber, switched at what orders threads or lets them wait. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "machine.h"

Settings settings;
Fault last_fault;
u64 machine_progress;
static void *scheduler_stack;
static Thread *starting;

/* Fibers. */

void fiber_switch(void **from, void *to);
__asm__(
    ".text\n.local fiber_switch\nfiber_switch:\n"
    " push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n"
    " mov %rsp, (%rdi)\n mov %rsi, %rsp\n"
    " pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n ret\n");

void turn(Thread *me) { fiber_switch(&me->stack_pointer, scheduler_stack); }

static void begin_fiber(void) {
    Thread *me = starting;
    me->grid->kernel->body(me);
    leave(me);
}

void leave(Thread *me) {
    copy_commit(me);
    copy_wait(me, 0);
    me->state = GONE;
    me->block->gone++;
    machine_progress++;
    meet_if_all_are_here(me->block, me->rank / 32, 0);
    turn(me);
    __builtin_unreachable();
}

/* Faults. */

const char *fault_name(FaultKind kind) {
    static const char *names[] = {"no fault", "out of bounds", "misaligned", "use after free", "uninitialised read", "race",
        "split barrier", "deadlock", "livelock", "not co-resident", "warp mask", "endless loop", "asynchronous copy", "trap", "launch"};
    return names[kind];
}

void place_text(char *out, size_t room, const Image *image, u32 site) {
    const Site *s = image->sites + site;
    int n = snprintf(out, room, "`%s` (PTX line %u", s->text, s->line);
    if (s->source_line && n < (int)room) snprintf(out + n, room - n, ", %s:%u)", s->file, s->source_line);
    else if (n < (int)room) snprintf(out + n, room - n, ")");
}

static void thread_text(char *out, size_t room, const Thread *t) {
    const u32 *i = t->tid, *k = t->block->index;
    snprintf(out, room, "thread (%u,%u,%u) of block (%u,%u,%u)", i[0], i[1], i[2], k[0], k[1], k[2]);
}

void fault_with(Thread *me, u32 site, FaultKind kind, const char *format, ...) {
    if (!last_fault.kind) {
        char place[700], who[100], more[2000];
        va_list list;
        va_start(list, format);
        vsnprintf(more, sizeof more, format, list);
        va_end(list);
        place_text(place, sizeof place, me->grid->image, site);
        thread_text(who, sizeof who, me);
        last_fault.kind = kind;
        snprintf(last_fault.text, sizeof last_fault.text, "%s: %s: %s, %s, kernel %s", fault_name(kind), more, place, who, me->grid->kernel->name);
    }
    turn(me);
    __builtin_unreachable();
}

void fault(Thread *me, u32 site, FaultKind kind, u64 address) {
    if (kind == TRAP) fault_with(me, site, kind, "the kernel gave up");
    fault_with(me, site, kind, "address 0x%llx", (unsigned long long)address);
}

void endless(Thread *me, u32 site) { fault_with(me, site, ENDLESS, "a loop that went round %llu times", (unsigned long long)settings.fuel); }

/* Asynchronous copies happen as late as they may: when their thread waits for them. */

static u8 *copy_access(Thread *me, u32 site, u64 at, u32 n, u32 flags, int shared) {
    if (shared) {
        if (at & (n - 1) || at + n > me->grid->shared_end) look_shared(me, site, at, n, flags);
        if (settings.races) race_shared(me, site, at, n, flags);
        return me->block->shared + at;
    }
    look_global(me, site, at, n, flags);
    if (settings.races) race_global(me, site, at, n, flags);
    return (u8 *)at;
}

void copy_begin(Thread *me, u32 site, u64 to, u64 from, u32 bytes, u32 read) {
    if (read > bytes) fault_with(me, site, COPY_FAULT, "%u bytes read into %u", read, bytes);
    copy_access(me, site, (u32)to, bytes, WRITE | COPY, 1);
    if (read) {
        if (from & (bytes - 1)) fault_with(me, site, MISALIGNED, "a copy of %u bytes from 0x%llx", bytes, (unsigned long long)from);
        for (u32 k = 0; k < read; k += 4) copy_access(me, site, from + k, read - k < 4 ? 1 : 4, READ | COPY, 0);
    }
    if (me->copy_count == me->copy_room) me->copies = realloc(me->copies, sizeof(AsyncCopy) * (me->copy_room = 2 * me->copy_room + 16));
    me->copies[me->copy_count++] = (AsyncCopy){(u32)to, site, bytes, read, me->group, from};
}

void copy_commit(Thread *me) { me->group++; }

void copy_wait(Thread *me, u32 pending) {
    u32 left = 0;
    for (u32 k = 0; k < me->copy_count; k++) {
        AsyncCopy c = me->copies[k];
        if (c.group + pending >= me->group) {
            me->copies[left++] = c;
            continue;
        }
        u8 *to = copy_access(me, c.site, c.to, c.bytes, WRITE | COPY, 1);
        memcpy(to, (void *)c.from, c.read);
        memset(to + c.read, 0, c.bytes - c.read);
        memset(me->block->states + c.to, WRITTEN, c.bytes);
    }
    me->copy_count = left;
}

/* The scheduler. */

static void stuck(Grid *grid, Block *blocks, u32 count, int spinning) {
    for (u32 k = 0; k < count; k++)
        for (u32 id = 0; id < 16; id++)
            if (blocks[k].barriers[id].arrived && blocks[k].gone && !spinning) {
                Barrier *barrier = blocks[k].barriers + id;
                char place[700];
                place_text(place, sizeof place, grid->image, barrier->site);
                last_fault.kind = SPLIT_BARRIER;
                snprintf(last_fault.text, sizeof last_fault.text,
                    "split barrier: %u of %u threads of block %u are at %s, %u have left the kernel %s", barrier->arrived,
                    grid->threads, blocks[k].number, place, blocks[k].gone, grid->kernel->name);
                return;
            }
    int waits_for_absent = spinning && !grid->together && grid->blocks > count;
    last_fault.kind = waits_for_absent ? NOT_RESIDENT : spinning ? LIVELOCK : DEADLOCK;
    int n = snprintf(last_fault.text, sizeof last_fault.text, "%s: kernel %s: %s", fault_name(last_fault.kind), grid->kernel->name,
        waits_for_absent ? "threads wait for blocks that need not be resident beside them (launch it as cooperative)"
        : spinning       ? "threads wait for a value that nobody will write"
                         : "threads wait for each other");
    u32 told[4], kinds = 0;
    for (u32 k = 0; k < count && kinds < 4; k++)
        for (u32 t = 0; t < grid->threads && kinds < 4; t++) {
            Thread *x = blocks[k].threads + t;
            u32 same = 0;
            if (x->state == GONE || (x->state == RUNNABLE && !spinning)) continue;
            for (u32 q = 0; q < kinds; q++) same |= told[q] == x->site;
            if (same || n >= (int)sizeof last_fault.text - 900) continue;
            told[kinds++] = x->site;
            char place[700], who[100];
            place_text(place, sizeof place, grid->image, x->site);
            thread_text(who, sizeof who, x);
            n += snprintf(last_fault.text + n, sizeof last_fault.text - n, "; %s at %s", who, place);
        }
}

static u64 draw(u64 *state) {
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return *state >> 33;
}

static void shuffle_order(u32 *order, u32 n, u64 *state) {
    for (u32 k = n; k > 1; k--) {
        u32 j = draw(state) % k, x = order[k - 1];
        order[k - 1] = order[j];
        order[j] = x;
    }
}

static void begin_block(Grid *grid, Block *block, u32 number, u8 *stacks) {
    u32 *size = grid->grid_size;
    block->number = number;
    block->multiprocessor = number % grid->multiprocessors;
    block->index[0] = number % size[0];
    block->index[1] = number / size[0] % size[1];
    block->index[2] = number / size[0] / size[1];
    block->gone = 0;
    memset(block->barriers, 0, sizeof block->barriers);
    memset(block->shared, 0xff, grid->shared_end); /* not a number, until somebody writes */
    memset(block->states, UNWRITTEN, grid->shared_end);
    memset(block->states, NOWHERE, 1024);
    if (settings.races) races_block(block, grid->shared_end);
    for (u32 k = 0; k < grid->threads; k++) {
        Thread *t = block->threads + k;
        if (settings.races) races_thread_gone(t);
        AsyncCopy *copies = t->copies;
        u32 room = t->copy_room;
        memset(t, 0, sizeof *t);
        t->copies = copies;
        t->copy_room = room;
        t->block = block;
        t->grid = grid;
        t->rank = k;
        t->lane = k % 32;
        t->number = number * grid->threads + k;
        t->tid[0] = k % grid->block_size[0];
        t->tid[1] = k / grid->block_size[0] % grid->block_size[1];
        t->tid[2] = k / grid->block_size[0] / grid->block_size[1];
        t->stack = stacks + (size_t)STACK_BYTES * k;
        u64 *top = (u64 *)(t->stack + STACK_BYTES) - 2;
        *--top = 0;
        *--top = (u64)begin_fiber;
        for (int r = 0; r < 6; r++) *--top = 0;
        t->stack_pointer = top;
        if (settings.races) races_thread(t);
    }
}

/* Runs a block until all its threads wait, are gone or spin; whether anything went on. */
static b run_block(Grid *grid, Block *block, u32 *order, u64 *seed) {
    b went_on = 0;
    for (;;) {
        u64 before = machine_progress;
        u32 ran = 0;
        if (settings.order > 1) shuffle_order(order, grid->threads, seed);
        for (u32 k = 0; k < grid->threads; k++) {
            Thread *t = block->threads + order[k];
            if (t->state != RUNNABLE) continue;
            starting = t;
            ran++;
            fiber_switch(&scheduler_stack, t->stack_pointer);
            if (last_fault.kind) return 1;
        }
        if (!ran || machine_progress == before) return went_on;
        went_on = 1;
        if (settings.order > 1 && draw(seed) % 4 == 0) return 1; /* another block's turn */
    }
}

/* Forwards and backwards each block goes as far as it can before the next, so that blocks are as far apart as they can be. */
static void run_blocks(Grid *grid, Block *blocks, u32 count, u32 *order, u64 *seed) {
    u32 idle = 0, *turns = malloc(sizeof *turns * count);
    for (u32 k = 0; k < grid->threads; k++) order[k] = settings.order == 1 ? grid->threads - 1 - k : k;
    for (u32 k = 0; k < count; k++) turns[k] = k;
    while (!last_fault.kind) {
        b went_on = 0;
        u32 gone = 0, spinning = 0;
        if (settings.order > 1) shuffle_order(turns, count, seed);
        for (u32 k = 0; k < count && !last_fault.kind; k++) went_on |= run_block(grid, blocks + turns[k], order, seed);
        if (last_fault.kind) break;
        for (u32 k = 0; k < count; k++) gone += blocks[k].gone;
        if (gone == grid->threads * count) break;
        for (u32 k = 0; k < grid->threads * count; k++) spinning += blocks->threads[k].state == RUNNABLE;
        idle = went_on ? 0 : idle + 1;
        if (!spinning && !went_on) stuck(grid, blocks, count, 0);
        else if (idle > 100) stuck(grid, blocks, count, 1);
    }
    free(turns);
}

FaultKind run_grid(Grid *grid) {
    u32 batch = grid->together ? grid->blocks : 1, all = grid->threads * batch;
    u64 seed = settings.order * 0x9E3779B97F4A7C15ull + 1;
    size_t stack_room = (size_t)STACK_BYTES * all, shared_room = ((size_t)grid->shared_end + 63) / 64 * 64 + 64;
    u8 *stacks = mmap(0, stack_room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    Thread *threads = calloc(all, sizeof *threads);
    Block *blocks = calloc(batch, sizeof *blocks);
    u32 *order = malloc(sizeof *order * grid->threads), *block_order = malloc(sizeof *order * grid->blocks);
    u8 *shared = aligned_alloc(64, 2 * shared_room * batch);
    memset(&last_fault, 0, sizeof last_fault);
    grid->fuel = settings.fuel;
    for (u32 k = 0; k < grid->blocks; k++) block_order[k] = settings.order == 1 ? grid->blocks - 1 - k : k;
    if (settings.order > 1) shuffle_order(block_order, grid->blocks, &seed);
    for (u32 k = 0; k < batch; k++) {
        blocks[k].threads = threads + (size_t)grid->threads * k;
        blocks[k].shared = shared + 2 * shared_room * k;
        blocks[k].states = blocks[k].shared + shared_room;
    }
    if (settings.races) races_begin(grid);
    for (u32 first = 0; first < grid->blocks && !last_fault.kind; first += batch) {
        for (u32 k = 0; k < batch; k++) begin_block(grid, blocks + k, block_order[first + k], stacks + (size_t)STACK_BYTES * grid->threads * k);
        run_blocks(grid, blocks, batch, order, &seed);
    }
    if (settings.races) races_end(grid);
    for (u32 k = 0; k < all; k++) {
        if (settings.races) races_thread_gone(threads + k);
        free(threads[k].copies);
    }
    for (u32 k = 0; k < batch; k++) free(blocks[k].histories);
    munmap(stacks, stack_room);
    free(threads), free(blocks), free(order), free(block_order), free(shared);
    return last_fault.kind;
}
