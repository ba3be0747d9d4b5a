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
/* The clock up to which all of a block, and up to which a thread, is known. */
u32 knowledge_floor(const Knowledge *k, u32 block);
b knowledge_has(const Knowledge *k, u32 thread, u32 block, u32 clock);
