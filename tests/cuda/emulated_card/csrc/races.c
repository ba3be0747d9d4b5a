/* Data races: two accesses to one byte, one of them a write, neither before the other, not both strong with scopes that
   hold each other. Before is what PTX's memory model says: barriers order those who meet there; a release that an acquire
   reads from orders what came before the one before what comes after the other, within the scopes of both; a fence
   makes a later strong write a release, an earlier strong read an acquire. A relaxed access alone orders nothing.
   Each word has a history: its last weak write, the last strong one since, and the reads since. */
#include <stdio.h>
#include <stdlib.h>

#include "knowledge.h"
#include "machine.h"
#include "orders.h"

enum { SITE = (1 << 24) - 1, IS_STRONG = 1 << 24, IS_WIDE = 1 << 25 };
enum { NOBODY = ~0u };

/* The reads of one warp at one clock. A history of 0 is empty. */
typedef struct {
    u32 warp, clock, lanes, how;
} Reads;

typedef struct {
    u32 thread, clock, how;
} Writer;

typedef struct History {
    u32 stamp;
    u16 split, listed; /* into bytes; reads in a list */
    Writer write, strong;
    Reads reads; /* listed: .warp is the list's number; split: .clock the number of the first of four histories */
} History;
_Static_assert(sizeof(History) == 4 * HISTORY_BYTES, "the span of histories fits the span of memory");

typedef struct {
    u32 count, room;
    Reads *reads;
} List;

static List *lists;
static u32 list_count, list_room;
static History *bytes;
static u32 byte_count, byte_room;
static Grid *grid;
static u32 warps_per_block;

/* Releases, by the place that they wrote. */
typedef struct {
    u32 block;
    b wide;
    Knowledge *knowledge;
} Release;
typedef struct {
    u64 key;
    u32 count, room;
    Release *releases;
} Location;
static Location *locations;
static u32 location_count, location_room;

static u32 next_stamp;

void races_begin(Grid *g) {
    grid = g;
    warps_per_block = (g->threads + 31) / 32;
}

void races_end(Grid *g) {
    (void)g;
    for (u32 k = 0; k < list_count; k++) free(lists[k].reads);
    list_count = byte_count = 0;
    for (u32 k = 0; k < location_room; k++) {
        for (u32 r = 0; r < locations[k].count; r++) knowledge_drop(locations[k].releases[r].knowledge);
        free(locations[k].releases);
    }
    free(locations);
    locations = 0;
    location_count = location_room = 0;
}

void races_thread(Thread *t) { t->clock = 1; }

void races_thread_gone(Thread *t) {
    knowledge_drop(t->known);
    for (int k = 0; k < 2; k++) knowledge_drop(t->released[k]), knowledge_drop(t->pending[k]);
    t->known = t->released[0] = t->released[1] = t->pending[0] = t->pending[1] = 0;
}

void races_block(Block *block, u32 shared_bytes) {
    if (!block->histories) block->histories = calloc(shared_bytes / 4 + 9, sizeof(History));
    block->stamp = ++next_stamp | 1u << 31;
}

/* What orders. */

static void joined(Knowledge **to, Knowledge *from) { knowledge_join(to, from, grid->threads); }

static Knowledge *with_oneself(Thread *t) {
    Knowledge *k = knowledge_hold(t->known);
    knowledge_of_thread(&k, t->number, t->clock, grid->threads);
    return k;
}

void races_barrier_arrive(Thread *me, Barrier *barrier, b waits) {
    joined(&barrier->gathered, me->known);
    if (barrier->clock < me->clock) barrier->clock = me->clock;
    if (waits) return;
    barrier->partial = 1;
    knowledge_of_thread(&barrier->gathered, me->number, me->clock, grid->threads);
    me->clock++;
}

void races_barrier_complete(Block *block, Barrier *barrier, Thread **waiting, u32 n) {
    if (n < grid->threads) barrier->partial = 1;
    if (barrier->partial)
        for (u32 k = 0; k < n; k++) knowledge_of_thread(&barrier->gathered, waiting[k]->number, waiting[k]->clock, grid->threads);
    else knowledge_of_block(&barrier->gathered, block->number, barrier->clock, grid->threads);
    for (u32 k = 0; k < n; k++) {
        Thread *t = waiting[k];
        knowledge_drop(t->known);
        t->known = knowledge_hold(barrier->gathered);
        t->clock = barrier->clock + 1;
    }
    knowledge_drop(barrier->gathered);
    barrier->gathered = 0;
    barrier->clock = 0;
    barrier->partial = 0;
}

void races_warp(Thread **threads, int n) {
    Knowledge *all = 0;
    u32 clock = 0;
    for (int k = 0; k < n; k++) {
        joined(&all, threads[k]->known);
        if (clock < threads[k]->clock) clock = threads[k]->clock;
    }
    for (int k = 0; k < n; k++) knowledge_of_thread(&all, threads[k]->number, threads[k]->clock, grid->threads);
    for (int k = 0; k < n; k++) {
        knowledge_drop(threads[k]->known);
        threads[k]->known = knowledge_hold(all);
        threads[k]->clock = clock + 1;
    }
    knowledge_drop(all);
}

static b is_wide(u32 flags) { return (flags & SCOPE) >= SCOPE_GPU; }

void fence(Thread *me, u32 site, u32 scope) {
    (void)site;
    if (!settings.races) return;
    b wide = is_wide(scope);
    joined(&me->known, me->pending[wide]);
    Knowledge *k = with_oneself(me);
    for (int w = 0; w <= wide; w++) {
        knowledge_drop(me->released[w]);
        me->released[w] = knowledge_hold(k);
    }
    knowledge_drop(k);
    me->clock++;
}

static Location *location(u64 key, b make) {
    if (make && 2 * (location_count + 1) > location_room) {
        Location *old = locations;
        u32 old_room = location_room;
        location_room = 4 * location_room + 64;
        locations = calloc(location_room, sizeof *locations);
        for (u32 k = 0; k < old_room; k++)
            if (old[k].key) {
                u32 at = old[k].key * 0x9E3779B97F4A7C15ull >> 33;
                while (locations[at % location_room].key) at++;
                locations[at % location_room] = old[k];
            }
        free(old);
    }
    if (!location_room) return 0;
    for (u32 at = key * 0x9E3779B97F4A7C15ull >> 33;; at++) {
        Location *l = locations + at % location_room;
        if (l->key == key) return l;
        if (l->key) continue;
        if (!make) return 0;
        l->key = key;
        location_count++;
        return l;
    }
}

static void add_release(Location *l, u32 block, b wide, Knowledge *k) {
    for (u32 i = 0; i < l->count; i++)
        if (l->releases[i].block == block && l->releases[i].wide == wide) {
            joined(&l->releases[i].knowledge, k);
            return;
        }
    if (l->count == l->room) l->releases = realloc(l->releases, sizeof *l->releases * (l->room = 2 * l->room + 2));
    l->releases[l->count++] = (Release){block, wide, knowledge_hold(k)};
}

/* What a strong access, or a weak write to where strong ones were, does to who knows what. */
static void order(Thread *me, u64 key, u32 flags) {
    u32 block = me->block->number;
    b wide = is_wide(flags);
    Location *l = location(key, 0);
    if (flags & READ && flags & STRONG && l)
        for (u32 i = 0; i < l->count; i++) {
            Release *r = l->releases + i;
            if (r->block != block && !(r->wide && wide)) continue;
            if (flags & ACQUIRE) {
                joined(&me->known, r->knowledge);
                continue;
            }
            joined(&me->pending[1], r->knowledge);
            if (r->block == block) joined(&me->pending[0], r->knowledge);
        }
    if (!(flags & WRITE)) return;
    if (l && !(flags & ATOMIC)) {
        for (u32 i = 0; i < l->count; i++) knowledge_drop(l->releases[i].knowledge);
        l->count = 0;
    }
    if (flags & RELEASE) {
        Knowledge *k = with_oneself(me);
        add_release(location(key, 1), block, wide, k);
        knowledge_drop(k);
        me->clock++;
    } else if (flags & STRONG && me->released[0]) {
        add_release(location(key, 1), block, 0, me->released[0]);
        if (wide && me->released[1]) add_release(location(key, 1), block, 1, me->released[1]);
    }
}

/* Histories. */

static u32 block_of_thread(u32 thread) { return thread / grid->threads; }
static u32 thread_of(u32 warp, u32 lane) { return warp / warps_per_block * grid->threads + warp % warps_per_block * 32 + lane; }

static b before(Thread *me, u32 thread, u32 clock) {
    return thread == me->number || knowledge_has(me->known, thread, block_of_thread(thread), clock);
}

/* The lanes whose reads are not before now. */
static u32 open_lanes(Thread *me, const Reads *r) {
    u32 open = 0;
    if (r->clock <= knowledge_floor(me->known, r->warp / warps_per_block)) return 0;
    for (u32 left = r->lanes; left; left &= left - 1) {
        u32 lane = __builtin_ctz(left);
        if (!before(me, thread_of(r->warp, lane), r->clock)) open |= 1u << lane;
    }
    return open;
}

static b both_strong(u32 one, u32 other, b same_block) {
    return one & other & IS_STRONG && (same_block || one & other & IS_WIDE);
}

static void conflict(Thread *me, u32 site, u32 flags, u64 address, int shared, u32 thread, u32 how, const char *other) {
    char place[700];
    u32 n = thread % grid->threads, block = block_of_thread(thread), *size = grid->block_size, *blocks = grid->grid_size;
    place_text(place, sizeof place, grid->image, how & SITE);
    fault_with(me, site, RACE, "%s %s 0x%llx that nothing orders after the %s by thread (%u,%u,%u) of block (%u,%u,%u) at %s; the later one",
        flags & WRITE ? "a write to" : "a read of", shared ? "shared" : "global", (unsigned long long)(shared ? address - 1024 : address), other,
        n % size[0], n / size[0] % size[1], n / size[0] / size[1], block % blocks[0], block / blocks[0] % blocks[1], block / blocks[0] / blocks[1], place);
}

static void check_reads(Thread *me, u32 site, u32 flags, u64 address, int shared, const Reads *r, u32 how) {
    u32 open = open_lanes(me, r);
    if (!open || both_strong(how, r->how, r->warp / warps_per_block == me->block->number)) return;
    conflict(me, site, flags, address, shared, thread_of(r->warp, __builtin_ctz(open)), r->how, "read");
}

static void check_write(Thread *me, u32 site, u32 flags, u64 address, int shared, const Writer *w, u32 how) {
    if (w->thread == NOBODY || w->thread == me->number) return;
    if (flags & CONSTANT) conflict(me, site, flags, address, shared, w->thread, w->how, "write, in a load that promises there is none,");
    if (both_strong(how, w->how, block_of_thread(w->thread) == me->block->number) || before(me, w->thread, w->clock)) return;
    conflict(me, site, flags, address, shared, w->thread, w->how, "write");
}

static void add_read(History *h, Thread *me, u32 how) {
    Reads mine = {me->block->number * warps_per_block + me->rank / 32, me->clock, 1u << me->lane, how};
    if (!h->listed) {
        Reads *r = &h->reads;
        b same_kind = !((r->how ^ how) & (IS_STRONG | IS_WIDE));
        if (!r->lanes) *r = mine;
        else if (r->warp == mine.warp && r->clock == mine.clock && same_kind) r->lanes |= mine.lanes;
        else if ((same_kind || !(how & IS_STRONG)) && !open_lanes(me, r)) *r = mine;
        else {
            if (list_count == list_room) lists = realloc(lists, sizeof *lists * (list_room = 2 * list_room + 64));
            lists[list_count] = (List){2, 4, malloc(4 * sizeof(Reads))};
            lists[list_count].reads[0] = *r;
            lists[list_count].reads[1] = mine;
            *r = (Reads){list_count++, 0, 1, 0};
            h->listed = 1;
        }
        return;
    }
    List *list = lists + h->reads.warp;
    for (u32 k = 0; k < list->count; k++) {
        Reads *r = list->reads + k;
        if (r->warp == mine.warp && r->clock == mine.clock && !((r->how ^ how) & (IS_STRONG | IS_WIDE))) {
            r->lanes |= mine.lanes;
            return;
        }
    }
    u32 left = 0;
    for (u32 k = 0; k < list->count; k++) {
        const Reads r = list->reads[k];
        b implied = (!((r.how ^ how) & (IS_STRONG | IS_WIDE)) || !(how & IS_STRONG)) && !open_lanes(me, &r);
        if (!implied) list->reads[left++] = r;
    }
    list->count = left;
    if (left == list->room) list->reads = realloc(list->reads, sizeof(Reads) * (list->room *= 2));
    list->reads[list->count++] = mine;
}

static b is_written(const History *h) { return h->write.thread != NOBODY || h->strong.thread != NOBODY; }

static void touch(Thread *me, u32 site, u64 address, u32 flags, int shared, History *h, u32 stamp) {
    if (h->stamp != stamp) {
        if (!shared && h->stamp && (is_written(h) || flags & WRITE)) orders_check(me, site, address, flags, h->stamp);
        *h = (History){.stamp = stamp, .write = {NOBODY, 0, 0}, .strong = {NOBODY, 0, 0}};
    }
    /* A thread again where nobody else was meanwhile: looked at already. */
    const Reads *last = &h->reads;
    b own_write = h->write.thread == me->number && h->write.clock == me->clock && h->strong.thread == NOBODY && !h->listed;
    if (!(flags & (STRONG | CONSTANT))) {
        if (flags & WRITE ? own_write && !last->lanes
                          : !h->listed && last->clock == me->clock && last->lanes >> me->lane & 1 && !(last->how & IS_STRONG) &&
                                last->warp == me->block->number * warps_per_block + me->rank / 32 && h->strong.thread == NOBODY)
            return;
    }
    u32 how = site | (flags & STRONG ? IS_STRONG : 0) | (is_wide(flags) ? IS_WIDE : 0);
    check_write(me, site, flags, address, shared, &h->write, how);
    check_write(me, site, flags, address, shared, &h->strong, how);
    if (!(flags & WRITE)) {
        add_read(h, me, how);
        return;
    }
    if (h->listed) {
        List *list = lists + h->reads.warp;
        for (u32 k = 0; k < list->count; k++) check_reads(me, site, flags, address, shared, list->reads + k, how);
        if (!(flags & STRONG)) list->count = 0;
    } else if (h->reads.lanes) {
        check_reads(me, site, flags, address, shared, &h->reads, how);
        if (!(flags & STRONG)) h->reads.lanes = 0;
    }
    /* A strong write hides no earlier weak access from the strong ones of others. */
    Writer mine = {me->number, me->clock, how};
    if (flags & STRONG) h->strong = mine;
    else h->write = mine, h->strong.thread = NOBODY;
}

static void race(Thread *me, u32 site, u64 address, u32 n, u32 flags, int shared, History *word, u32 stamp, u64 key) {
    for (u64 at = address; at < address + n; at += 4, word++) {
        if (n < 4 && !(word->split && word->stamp == stamp)) { /* from now on each byte has a history of its own */
            if (word->stamp != stamp && !shared && word->stamp && (is_written(word) || flags & WRITE))
                orders_check(me, site, at, flags, word->stamp);
            if (byte_count + 4 > byte_room) bytes = realloc(bytes, sizeof *bytes * (byte_room = 2 * byte_room + 64));
            for (u32 k = 0; k < 4; k++) {
                bytes[byte_count + k] = *word;
                if (word->stamp != stamp) bytes[byte_count + k] = (History){.stamp = stamp, .write = {NOBODY, 0, 0}, .strong = {NOBODY, 0, 0}};
                else if (word->listed) { /* a list of each one's own */
                    List *of = lists + word->reads.warp, copy = {of->count, of->count + 2, malloc(sizeof(Reads) * (of->count + 2))};
                    memcpy(copy.reads, of->reads, sizeof(Reads) * of->count);
                    if (list_count == list_room) lists = realloc(lists, sizeof *lists * (list_room = 2 * list_room + 64));
                    lists[list_count] = copy;
                    bytes[byte_count + k].reads.warp = list_count++;
                }
            }
            *word = (History){.stamp = stamp, .split = 1, .write = {NOBODY, 0, 0}, .strong = {NOBODY, 0, 0}, .reads = {0, byte_count, 0, 0}};
            byte_count += 4;
        }
        if (word->split && word->stamp == stamp) {
            u32 first = word->reads.clock, from = n < 4 ? address & 3 : 0, to = n < 4 ? from + n : 4;
            if (flags & WRITE) word->write.thread = me->number;
            for (u32 k = from; k < to; k++) touch(me, site, (at & ~3ull) + k, flags, shared, bytes + first + k, stamp);
        } else touch(me, site, at, flags, shared, word, stamp);
    }
    if (flags & (STRONG | WRITE) && (flags & STRONG || location_count)) order(me, key, flags);
}

void race_global(Thread *me, u32 site, u64 address, u32 n, u32 flags) {
    race(me, site, address, n, flags, 0, (History *)HISTORIES + (address - ARENA) / 4, grid->operation, address);
}

void race_shared(Thread *me, u32 site, u64 address, u32 n, u32 flags) {
    u64 key = (u64)(me->block->number + 1) << 20 | address;
    race(me, site, address, n, flags, 1, me->block->histories + address / 4, me->block->stamp, key);
}

/* A copy or a fill: 0, or the earlier operation that it conflicts with. */
u32 races_stamp(u64 at, u64 n, b writes, u32 operation, b (*is_before)(u32 earlier)) {
    History *h = (History *)HISTORIES + (at - ARENA) / 4, *end = (History *)HISTORIES + (at + n + 3 - ARENA) / 4;
    for (; h < end; h++) {
        if (h->stamp && h->stamp != operation && (writes || is_written(h)) && !is_before(h->stamp)) return h->stamp;
        *h = (History){.stamp = operation, .write = {writes ? 0 : NOBODY, 0, 0}, .strong = {NOBODY, 0, 0}};
    }
    return 0;
}
