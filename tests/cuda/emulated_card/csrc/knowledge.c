#include "knowledge.h"

#include <stdlib.h>

Knowledge *knowledge_hold(Knowledge *k) {
    if (k) k->holders++;
    return k;
}

void knowledge_drop(Knowledge *k) {
    if (!k || --k->holders) return;
    free(k->blocks);
    free(k->threads);
    free(k);
}

static Known *copied(const Known *from, u32 count) {
    Known *to = malloc(sizeof *to * (count + 1));
    if (count) memcpy(to, from, sizeof *to * count);
    return to;
}

/* The value of a place, nobody else's. */
static Knowledge *own(Knowledge **at) {
    Knowledge *old = *at;
    if (old && old->holders == 1) return old;
    Knowledge *k = calloc(1, sizeof *k);
    k->holders = 1;
    if (old) {
        k->block_count = k->block_room = old->block_count;
        k->thread_count = k->thread_room = old->thread_count;
        k->blocks = copied(old->blocks, old->block_count);
        k->threads = copied(old->threads, old->thread_count);
        old->holders--;
    }
    return *at = k;
}

static void raise(Known **list, u32 *count, u32 *room, u32 who, u32 clock) {
    u32 at = place_of(*list, *count, who);
    if (at < *count && (*list)[at].who == who) {
        if ((*list)[at].clock < clock) (*list)[at].clock = clock;
        return;
    }
    if (*count == *room) *list = realloc(*list, sizeof **list * (*room = 2 * *room + 4));
    memmove(*list + at + 1, *list + at, sizeof **list * (*count - at));
    (*list)[at] = (Known){who, clock};
    ++*count;
}

/* Forgets of threads what is known of their blocks. */
static void tidy(Knowledge *k, u32 threads_per_block) {
    u32 left = 0;
    for (u32 i = 0; i < k->thread_count; i++)
        if (k->threads[i].clock > knowledge_floor(k, k->threads[i].who / threads_per_block)) k->threads[left++] = k->threads[i];
    k->thread_count = left;
}

void knowledge_of_thread(Knowledge **to, u32 thread, u32 clock, u32 threads_per_block) {
    if (knowledge_has(*to, thread, thread / threads_per_block, clock)) return;
    Knowledge *k = own(to);
    raise(&k->threads, &k->thread_count, &k->thread_room, thread, clock);
}

void knowledge_of_block(Knowledge **to, u32 block, u32 clock, u32 threads_per_block) {
    if (knowledge_floor(*to, block) >= clock) return;
    Knowledge *k = own(to);
    raise(&k->blocks, &k->block_count, &k->block_room, block, clock);
    tidy(k, threads_per_block);
}

void knowledge_join(Knowledge **to, Knowledge *from, u32 threads_per_block) {
    if (!from || *to == from) return;
    if (!*to) {
        *to = knowledge_hold(from);
        return;
    }
    for (u32 i = 0; i < from->block_count; i++) knowledge_of_block(to, from->blocks[i].who, from->blocks[i].clock, threads_per_block);
    for (u32 i = 0; i < from->thread_count; i++) knowledge_of_thread(to, from->threads[i].who, from->threads[i].clock, threads_per_block);
}
