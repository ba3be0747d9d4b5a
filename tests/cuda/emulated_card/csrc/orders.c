/* Operations of several streams: each has a clock that says which operations of every stream are done before it. A
   stream's own come one after another; events and the host's waiting order the rest. */
#include "orders.h"

#include <stdio.h>
#include <stdlib.h>

#include "driver.h"

typedef struct {
    u32 slot, sequence;
    const char *name;
} Done;

static Done *table;
static u32 count, room, sequences[SLOTS], host[SLOTS];
static b taken[SLOTS];
static const Operation *running;

void orders_learn(u32 *to, const u32 *from) {
    for (u32 k = 0; k < SLOTS; k++)
        if (to[k] < from[k]) to[k] = from[k];
}

void orders_host_waited(const u32 *clock) { orders_learn(host, clock); }

u32 orders_slot(void) {
    for (u32 k = 0; k + 1 < SLOTS; k++)
        if (!taken[k]) {
            taken[k] = 1;
            return k;
        }
    return SLOTS - 1;
}

void orders_slot_free(u32 slot) { taken[slot] = 0; }

void orders_submitted(Stream *s, Operation *o) {
    orders_learn(s->clock, host);
    s->clock[s->slot] = ++sequences[s->slot];
    memcpy(o->clock, s->clock, sizeof o->clock);
    if (count + 1 >= room) table = realloc(table, sizeof *table * (room = 2 * room + 256));
    o->id = ++count;
    table[count] = (Done){s->slot, sequences[s->slot], o->what == LAUNCH ? o->kernel->kernel->name : o->what == COPY_BYTES ? "a copy" : "a fill"};
}

void orders_run(const Operation *o) { running = o; }

static b is_before(u32 earlier) { return running->clock[table[earlier].slot] >= table[earlier].sequence; }

void orders_check(Thread *me, u32 site, u64 address, u32 flags, u32 earlier) {
    if (is_before(earlier)) return;
    fault_with(me, site, RACE, "%s global 0x%llx that nothing orders after %s in another stream", flags & WRITE ? "a write to" : "a read of",
        (unsigned long long)address, table[earlier].name);
}

int orders_touch(u64 at, u64 bytes, b writes) {
    if (at - ARENA >= ARENA_SIZE) return 0;
    u32 earlier = races_stamp(at, bytes, writes, running->id, is_before);
    if (!earlier) return 0;
    last_fault.kind = RACE;
    snprintf(last_fault.text, sizeof last_fault.text, "race: %s, %llu bytes at 0x%llx, that nothing orders after %s in another stream",
        table[running->id].name, (unsigned long long)bytes, (unsigned long long)at, table[earlier].name);
    return 1;
}
