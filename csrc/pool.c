/* Threads that wait for work. A region of them waits for none that comes late: it has nothing left to do. */
#define _POSIX_C_SOURCE 200809L
#include "internal.h"

#if FNN_POSIX

#include <pthread.h>
#include <signal.h>

#define STACK ((size_t)1 << 20)

/* What the helpers run; written while no helper can be in it. */
static struct {
    void (*member)(void *);
    void *context;
} job;

static _Alignas(64) atomic_int wanted; /* helpers that may still come to the job */
static _Alignas(64) atomic_int finished; /* helpers that came and went */
static _Alignas(64) atomic_int asleep;
static pthread_mutex_t door = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t bell = PTHREAD_COND_INITIALIZER;
static int32_t helpers;

/* Returns when a job may want helpers. */
static void wait_for_work(void)
{
    for (int64_t looks = 0; looks < FNN_IDLE_LOOKS; looks++) {
        if (atomic_load_explicit(&wanted, memory_order_relaxed) > 0) {
            return;
        }
        fnn_relax(looks);
    }
    pthread_mutex_lock(&door);
    atomic_fetch_add(&asleep, 1); /* before the last look, as a region looks for sleepers after it says what it wants */
    if (atomic_load(&wanted) <= 0) {
        pthread_cond_wait(&bell, &door); /* once: whoever comes too late for a job stays awake for the next */
    }
    atomic_fetch_sub(&asleep, 1);
    pthread_mutex_unlock(&door);
}

static void *help(void *nothing)
{
    for (;;) {
        wait_for_work();
        int places = atomic_load(&wanted);
        while (places > 0 && !atomic_compare_exchange_weak(&wanted, &places, places - 1)) {
        }
        if (places > 0) { /* until this one has finished, the region lasts and the job stays */
            job.member(job.context);
            atomic_fetch_add_explicit(&finished, 1, memory_order_release);
        }
    }
    return nothing;
}

/* Starts helpers that are lacking; fewer come if the system has no more threads. Signals are left to others. */
static void start_helpers(int32_t count)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_t thread;
    if (helpers >= count || pthread_attr_init(&attributes) != 0) {
        return;
    }
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (helpers < count && pthread_create(&thread, &attributes, help, NULL) == 0) {
        helpers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

void fnn_pool_region(void (*member)(void *), void *context, int32_t threads)
{
    start_helpers(threads - 1);
    const int places = (int)fnn_least(threads - 1, helpers);
    job.member = member;
    job.context = context;
    atomic_store_explicit(&finished, 0, memory_order_relaxed);
    atomic_store(&wanted, places);
    if (atomic_load(&asleep) > 0) {
        pthread_mutex_lock(&door);
        pthread_cond_broadcast(&bell);
        pthread_mutex_unlock(&door);
    }
    member(context);
    const int came = places - atomic_exchange(&wanted, 0);
    for (int64_t looks = 0; atomic_load_explicit(&finished, memory_order_acquire) < came; looks++) {
        fnn_relax(looks);
    }
}

#endif
