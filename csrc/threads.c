/* Teams of threads: one region round a whole call, a barrier of atomics inside it, and the floating-point environment.
 *
 * A team enrols before it works, so that fewer threads than were asked for are no deadlock.
 */
#define _POSIX_C_SOURCE 200809L
#include "internal.h"

#if FNN_POSIX
#include <sched.h>
#include <unistd.h>
#endif

#if FNN_X86
#include <immintrin.h>
#endif

#define IEEE_DEFAULT 0x1F80U /* MXCSR: round to nearest, all exceptions masked, neither FTZ nor DAZ */

#if FNN_POSIX
static _Atomic(fnn_region) region = fnn_pool_region;
#else
static _Atomic(fnn_region) region;
#endif
static atomic_flag busy = ATOMIC_FLAG_INIT;

int fnn_set_region(fnn_region chosen)
{
    atomic_store(&region, chosen);
    return FNN_OK;
}

#if FNN_POSIX
/* A forked child has none of the threads of the parent's runtime. */
static pid_t home;

__attribute__((constructor)) static void remember_home(void)
{
    home = getpid();
}

static bool at_home(void)
{
    return getpid() == home;
}
#else
static bool at_home(void)
{
    return true;
}
#endif

void fnn_relax(int64_t spins)
{
#if FNN_X86
    _mm_pause();
#endif
#if FNN_POSIX
    if (spins > FNN_BARRIER_SPINS) {
        sched_yield();
    }
#else
    (void)spins;
#endif
}

void fnn_barrier(fnn_sync *sync, int64_t team)
{
    if (team == 1) {
        return;
    }
    const int64_t generation = atomic_load_explicit(&sync->generation, memory_order_acquire);
    if (atomic_fetch_add_explicit(&sync->count, 1, memory_order_acq_rel) == team - 1) {
        atomic_store_explicit(&sync->count, 0, memory_order_relaxed);
        atomic_store_explicit(&sync->pieces, 0, memory_order_relaxed);
        atomic_store_explicit(&sync->generation, generation + 1, memory_order_release);
        return;
    }
    for (int64_t spins = 0; atomic_load_explicit(&sync->generation, memory_order_acquire) == generation; spins++) {
        fnn_relax(spins);
    }
}

int64_t fnn_next_piece(fnn_sync *sync)
{
    return atomic_fetch_add_explicit(&sync->pieces, 1, memory_order_relaxed);
}

/* This thread's number, or -1, and the team's size. Whoever comes first decides: all that were wanted, or itself alone
 * if they do not come. */
static int64_t enrol(fnn_sync *sync, int64_t wanted, int64_t *team)
{
    const int64_t member = atomic_fetch_add_explicit(&sync->arrived, 1, memory_order_acq_rel);
    if (member == 0) {
        int64_t looks = 0;
        while (atomic_load_explicit(&sync->arrived, memory_order_acquire) < wanted && looks < FNN_GATHER_LOOKS) {
            fnn_relax(looks++);
        }
        const bool all = atomic_load_explicit(&sync->arrived, memory_order_acquire) >= wanted;
        atomic_store_explicit(&sync->team, all ? wanted : 1, memory_order_release);
    }
    int64_t spins = 0;
    while ((*team = atomic_load_explicit(&sync->team, memory_order_acquire)) == 0) {
        fnn_relax(spins++);
    }
    return member < *team ? member : -1;
}

typedef struct launch {
    fnn_worker *worker;
    void *context;
    fnn_sync *sync;
    int64_t wanted;
} launch;

/* The worker in the IEEE default environment, after which the caller's comes back. */
static void work(const launch *l, int64_t member, int64_t team)
{
#if FNN_X86
    const unsigned before = _mm_getcsr();
    _mm_setcsr(IEEE_DEFAULT);
    l->worker(l->context, l->sync, member, team);
    _mm_setcsr(before);
#elif defined(__aarch64__)
    uint64_t before;
    const uint64_t none = 0;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(none));
    l->worker(l->context, l->sync, member, team);
    __asm__ volatile("msr fpcr, %0" : : "r"(before));
#else
    l->worker(l->context, l->sync, member, team);
#endif
}

static void join(void *context)
{
    const launch *l = context;
    int64_t team;
    const int64_t member = enrol(l->sync, l->wanted, &team);
    if (member >= 0) {
        work(l, member, team);
    }
}

/* Takes what share is left, again and again: nobody waits for a thread that comes late. */
static void take_shares(void *context)
{
    const launch *l = context;
    int64_t share;
    while ((share = atomic_fetch_add_explicit(&l->sync->arrived, 1, memory_order_relaxed)) < l->wanted) {
        work(l, share, l->wanted);
    }
}

static void start_team(void (*member)(void *), fnn_worker *worker, void *context, int32_t threads)
{
    fnn_sync sync;
    atomic_init(&sync.count, 0);
    atomic_init(&sync.pieces, 0);
    atomic_init(&sync.generation, 0);
    atomic_init(&sync.arrived, 0);
    atomic_init(&sync.team, 0);
    const launch l = {worker, context, &sync, threads};
    const fnn_region start = atomic_load(&region);
    /* One team at a time: more would fight for the cores. */
    if (threads > 1 && start != NULL && at_home() && !atomic_flag_test_and_set_explicit(&busy, memory_order_acquire)) {
        start(member, (void *)&l, threads);
        atomic_flag_clear_explicit(&busy, memory_order_release);
    } else {
        work(&l, 0, 1);
    }
}

/* A worker whose threads meet at barriers: all that were wanted, or one. */
void fnn_launch(fnn_worker *worker, void *context, int32_t threads)
{
    start_team(join, worker, context, threads);
}

/* A worker without barriers: its shares run in any order, on as many threads as come. */
void fnn_launch_shares(fnn_worker *worker, void *context, int32_t shares)
{
    start_team(take_shares, worker, context, shares);
}
