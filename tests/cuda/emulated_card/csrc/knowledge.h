/* What a thread knows of the others' pasts: of some blocks, that all their threads' accesses up to a clock happened
   before; of some threads, up to a later clock. Values are shared and counted; changing one copies it first. */
#pragma once
#include "card.h"

typedef struct {
    u32 who, clock;
} Known;

typedef struct Knowledge {
    u32 holders;
    u32 block_count, block_room, thread_count, thread_room;
    Known *blocks, *threads; /* by number */
} Knowledge;

Knowledge *knowledge_hold(Knowledge *k);
void knowledge_drop(Knowledge *k);
/* *to learns what from knows; either may be 0: nothing. */
void knowledge_join(Knowledge **to, Knowledge *from, u32 threads_per_block);
void knowledge_of_thread(Knowledge **to, u32 thread, u32 clock, u32 threads_per_block);
void knowledge_of_block(Knowledge **to, u32 block, u32 clock, u32 threads_per_block);

/* The first place whose number is not less. */
static inline u32 place_of(const Known *list, u32 count, u32 who) {
    u32 low = 0, high = count;
    while (low < high) {
        u32 middle = (low + high) / 2;
        if (list[middle].who < who) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* The clock up to which all of a block is known, and whether a thread is up to one. */
static inline u32 knowledge_floor(const Knowledge *k, u32 block) {
    if (!k) return 0;
    u32 at = place_of(k->blocks, k->block_count, block);
    return at < k->block_count && k->blocks[at].who == block ? k->blocks[at].clock : 0;
}

static inline b knowledge_has(const Knowledge *k, u32 thread, u32 block, u32 clock) {
    if (!k) return 0;
    if (clock <= knowledge_floor(k, block)) return 1;
    u32 at = place_of(k->threads, k->thread_count, thread);
    return at < k->thread_count && k->threads[at].who == thread && clock <= k->threads[at].clock;
}
