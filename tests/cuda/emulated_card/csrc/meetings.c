/* What threads do together: the barriers of a block, and the instructions of a warp. */
#include "machine.h"

enum { MEET_SYNC, MEET_SHUFFLE, MEET_VOTE, MEET_REDUX };

/* Barriers of a block. */

static void split(Thread *me, u32 site, const char *what, u32 other) {
    char place[700];
    place_text(place, sizeof place, me->grid->image, other);
    fault_with(me, site, SPLIT_BARRIER, "%s, others at %s", what, place);
}

static Barrier *arrive(Thread *me, u32 site, u32 id, u32 count, int aligned, b waits) {
    Block *block = me->block;
    u32 expected = count ? count : (me->grid->threads + 31) / 32 * 32;
    if (id > 15 || count % 32) fault_with(me, site, SPLIT_BARRIER, "barrier %u with a count of %u: there are 16, for whole warps", id, count);
    Barrier *barrier = block->barriers + id;
    if (!barrier->arrived) {
        barrier->expected = expected;
        barrier->site = site;
    } else if (barrier->expected != expected || (aligned && !count && barrier->site != site)) {
        split(me, site, "threads of one block are at two barriers", barrier->site);
    }
    /* With a count, warps may meet at different instructions, the threads of a warp may not. */
    const Thread *warp = me - me->lane;
    for (u32 k = 0; aligned && count && k < 32 && me->rank - me->lane + k < me->grid->threads; k++)
        if (warp[k].state == AT_BARRIER && warp[k].barrier == id && warp[k].site != site)
            split(me, site, "threads of one warp are at two barriers", warp[k].site);
    /* A last warp that is not full counts as whole. */
    u32 last = me->grid->threads % 32, weight = last && me->rank == me->grid->threads - 1 ? 33 - last : 1;
    barrier->arrived += weight;
    if (barrier->arrived > barrier->expected) fault_with(me, site, SPLIT_BARRIER, "more threads than barrier %u was told of", id);
    if (settings.races) races_barrier_arrive(me, barrier, waits);
    return barrier;
}

static void complete(Block *block, u32 id) {
    Barrier *barrier = block->barriers + id;
    if (barrier->arrived < barrier->expected) return;
    Thread *waiting[1024];
    u32 n = block->threads->grid->threads, count = 0;
    for (u32 t = 0; t < n; t++) {
        Thread *other = block->threads + t;
        if (other->state != AT_BARRIER || other->barrier != id) continue;
        waiting[count++] = other;
        other->state = RUNNABLE;
    }
    if (settings.races) races_barrier_complete(block, barrier, waiting, count);
    barrier->arrived = 0;
    machine_progress++;
}

void barrier_wait(Thread *me, u32 site, u32 id, u32 count, int aligned) {
    arrive(me, site, id, count, aligned, 1);
    me->state = AT_BARRIER;
    me->barrier = id;
    me->site = site;
    complete(me->block, id);
    turn(me);
}

void barrier_arrive(Thread *me, u32 site, u32 id, u32 count, int aligned) {
    if (!count) fault_with(me, site, SPLIT_BARRIER, "bar.arrive needs a count of threads");
    arrive(me, site, id, count, aligned, 0);
    complete(me->block, id);
}

u32 barrier_reduce(Thread *me, u32 site, u32 id, u32 count, b value, int how) {
    me->value = value;
    barrier_wait(me, site, id, count, 1);
    u32 sum = 0, n = me->grid->threads;
    for (u32 t = 0; t < n; t++) sum += me->block->threads[t].value;
    barrier_wait(me, site, id, count, 1); /* before anybody's next value */
    return how == REDUCE_POPC ? sum : how == REDUCE_AND ? sum == n : sum != 0;
}

/* What a warp's threads do together: nobody goes on before all that the mask names are there. */

static u32 shuffled(Thread *me, b *in_range) {
    u32 lane = me->lane, cut = me->clamp & 31, segment = me->clamp >> 8 & 31, d = me->operand & 31;
    u32 most = (lane & segment) | (cut & ~segment), least = lane & segment, from;
    switch (me->meeting >> 8) {
        case SHUFFLE_UP: from = lane - d; *in_range = (int)from >= (int)most; break;
        case SHUFFLE_DOWN: from = lane + d; *in_range = from <= most; break;
        case SHUFFLE_BFLY: from = lane ^ d; *in_range = from <= most; break;
        default: from = least | (d & ~segment); *in_range = from <= most;
    }
    if (!*in_range) return me->value;
    u32 source = me->rank - lane + from;
    if (!(me->mask >> from & 1) || source >= me->grid->threads || me->block->threads[source].state == GONE)
        fault_with(me, me->site, WARP_MASK, "reads lane %u, which the mask 0x%x does not name or which is not there", from, me->mask);
    return me->block->threads[source].value;
}

static u32 voted(int how, u32 ballot, u32 here) {
    return how == VOTE_ALL ? ballot == here : how == VOTE_ANY ? ballot != 0 : how == VOTE_UNI ? ballot == 0 || ballot == here : ballot;
}

static u32 reduced(int how, int is_signed, u32 a, u32 c) {
    b less = is_signed ? (s32)a < (s32)c : a < c;
    return how == REDUX_ADD ? a + c : how == REDUX_AND ? a & c : how == REDUX_OR ? a | c : how == REDUX_XOR ? a ^ c : how == REDUX_MIN ? (less ? a : c) : less ? c : a;
}

void meet_if_all_are_here(Block *block, u32 warp, Thread *last) {
    Thread *first = block->threads + 32 * warp, *someone = last;
    u32 n = first->grid->threads - 32 * warp;
    if (n > 32) n = 32;
    for (u32 k = 0; !someone && k < n; k++)
        if (first[k].state == AT_MEETING) someone = first + k;
    if (!someone) return;
    Thread *here[32];
    u32 count = 0, ballot = 0, present = 0, sum = 0;
    for (u32 k = 0; k < n; k++) {
        Thread *t = first + k;
        if (!(someone->mask >> k & 1) || t->state == GONE) continue;
        if (t->state != AT_MEETING) return;
        if (t->meeting != someone->meeting || t->mask != someone->mask) {
            char other[700];
            if (!(t->mask >> someone->lane & 1)) return;
            place_text(other, sizeof other, t->grid->image, t->site);
            if (!last) return;
            fault_with(last, last->site, WARP_MASK, "mask 0x%x, but lane %u is at %s with mask 0x%x", someone->mask, t->lane, other, t->mask);
        }
        here[count++] = t;
        present |= 1u << k;
        ballot |= (t->value != 0) << k;
        sum = count == 1 ? t->value : reduced(someone->meeting >> 8 & 255, someone->meeting >> 16, sum, t->value);
    }
    int what = someone->meeting & 255, how = someone->meeting >> 8;
    for (u32 k = 0; k < count; k++) {
        Thread *t = here[k];
        if (what == MEET_SHUFFLE) t->result = shuffled(t, &t->flag);
        else if (what == MEET_VOTE) t->result = voted(how, ballot, present);
        else if (what == MEET_REDUX) t->result = sum;
    }
    if (what == MEET_SYNC && settings.races) races_warp(here, count);
    for (u32 k = 0; k < count; k++) here[k]->state = RUNNABLE;
    machine_progress++;
    if (!last) meet_if_all_are_here(block, warp, 0); /* a thread that left may have been what two groups waited for */
}

static u32 meet(Thread *me, u32 site, u32 meeting, u32 mask, u32 value) {
    if (!(mask >> me->lane & 1)) fault_with(me, site, WARP_MASK, "the mask 0x%x does not name the thread itself, lane %u", mask, me->lane);
    me->meeting = meeting;
    me->mask = mask;
    me->value = value;
    me->site = site;
    me->state = AT_MEETING;
    meet_if_all_are_here(me->block, me->rank / 32, me);
    turn(me);
    return me->result;
}

void warp_barrier(Thread *me, u32 site, u32 mask) { meet(me, site, MEET_SYNC, mask, 0); }
u32 vote(Thread *me, u32 site, int mode, b value, u32 mask) { return meet(me, site, MEET_VOTE | mode << 8, mask, value); }
u32 reduce_warp(Thread *me, u32 site, int mode, int is_signed, u32 value, u32 mask) {
    return meet(me, site, MEET_REDUX | mode << 8 | is_signed << 16, mask, value);
}
u32 shuffle(Thread *me, u32 site, int mode, u32 value, u32 lane, u32 clamp, u32 mask, b *in_range) {
    me->operand = lane;
    me->clamp = clamp;
    u32 got = meet(me, site, MEET_SHUFFLE | mode << 8, mask, value);
    *in_range = me->flag;
    return got;
}
