/* Streams: what is submitted waits in its stream, and is done as late as it may be, when the host waits for it. So a
   host that forgets to wait sees what it would sometimes see on a card. Graphs are the same lists, kept. */
#include <stdio.h>
#include <stdlib.h>

#include "driver.h"

int sticky, streams_late;
static Stream legacy = {.slot = SLOTS - 1}, *streams;
static u64 identities = 1, launches;

Stream *stream_of(void *handle) { return (u64)handle < 16 ? &legacy : handle; }

Stream *stream_new(int flags, int priority) {
    Stream *s = calloc(1, sizeof *s);
    s->id = ++identities;
    s->flags = flags;
    s->priority = priority;
    s->next = streams;
    s->slot = orders_slot();
    return streams = s;
}

void stream_forget(Stream *stream) {
    finish(stream, stream->submitted);
    for (Stream **p = &streams; *p; p = &(*p)->next)
        if (*p == stream) {
            *p = stream->next;
            break;
        }
    orders_slot_free(stream->slot);
    free(stream->queue);
    free(stream); /* events that knew it hold only its count, see finish */
}

static int is_live(const Stream *stream) {
    if (stream == &legacy) return 1;
    for (Stream *s = streams; s; s = s->next)
        if (s == stream) return 1;
    return 0;
}

static int code_of(FaultKind kind) {
    switch (kind) {
        case NO_FAULT: return OK;
        case OUT_OF_BOUNDS:
        case USE_AFTER_FREE: return ILLEGAL_ADDRESS;
        case MISALIGNED: return MISALIGNED_ADDRESS;
        case DEADLOCK:
        case LIVELOCK:
        case NOT_RESIDENT:
        case ENDLESS: return LAUNCH_TIMEOUT;
        default: return LAUNCH_FAILED;
    }
}

static int fault_code(void) {
    report("%s", last_fault.text);
    return code_of(last_fault.kind);
}

static int launch(Operation *o) {
    const Kernel *k = o->kernel->kernel;
    int chosen = fail_number("illegal_address");
    launches++;
    if (chosen >= 0 && launches >= (u64)chosen) {
        last_fault.kind = OUT_OF_BOUNDS;
        snprintf(last_fault.text, sizeof last_fault.text, "illegal address, as ordered, at launch %llu", (unsigned long long)launches);
        return fault_code();
    }
    chosen = fail_number("lost_device");
    if (chosen >= 0 && launches >= (u64)chosen) {
        report("the device is lost, as ordered, at launch %llu", (unsigned long long)launches);
        return DEVICE_UNAVAILABLE;
    }
    Grid grid = {0};
    memcpy(grid.grid_size, o->grid, sizeof o->grid);
    memcpy(grid.block_size, o->block, sizeof o->block);
    grid.threads = o->block[0] * o->block[1] * o->block[2];
    grid.blocks = o->grid[0] * o->grid[1] * o->grid[2];
    grid.dynamic_shared = o->shared;
    grid.shared_end = k->static_shared + o->shared;
    grid.multiprocessors = multiprocessors;
    grid.parameters = o->parameters;
    grid.image = o->kernel->library->image;
    grid.kernel = k;
    grid.together = o->cooperative;
    grid.operation = o->id;
    o->kernel->launches++;
    return run_grid(&grid) ? fault_code() : OK;
}

static int copy(Operation *o) {
    if ((o->staged ? 0 : memory_check(o->from, o->bytes, 0, "copy")) || memory_check(o->to, o->bytes, 1, "copy")) return fault_code();
    if (settings.races && ((!o->staged && orders_touch(o->from, o->bytes, 0)) || orders_touch(o->to, o->bytes, 1))) return fault_code();
    memmove((void *)o->to, o->staged ? o->staged : (void *)o->from, o->bytes);
    if (!o->staged && o->from - ARENA < ARENA_SIZE && o->to - ARENA < ARENA_SIZE)
        memmove((u8 *)STATES + (o->to - ARENA), (u8 *)STATES + (o->from - ARENA), o->bytes); /* what is unwritten stays so */
    else memory_written(o->to, o->bytes);
    return OK;
}

static int fill(Operation *o) {
    for (u64 row = 0; row < o->rows; row++) {
        u64 to = o->to + row * o->to_pitch;
        if (memory_check(to, o->bytes, 1, "fill")) return fault_code();
        if (settings.races && orders_touch(to, o->bytes, 1)) return fault_code();
        for (u64 k = 0; k < o->bytes; k += o->width) memcpy((u8 *)to + k, &o->value, o->width);
        memory_written(to, o->bytes);
    }
    return OK;
}

static int perform(Operation *o) {
    if (sticky) return sticky;
    orders_run(o);
    switch (o->what) {
        case COPY_BYTES: return sticky = copy(o);
        case FILL_BYTES: return sticky = fill(o);
        case LAUNCH: return sticky = launch(o);
        case FREE_MEMORY: return sticky = memory_give_back(o->to, MEMORY_POOL) ? fault_code() : OK;
        case WAIT_FOR: return finish(o->other, o->until);
        case CALL_HOST: o->function(o->argument); return OK;
    }
    return OK;
}

int step_once(Stream *s) {
    if (!s->count) return sticky;
    Operation o = s->queue[0];
    memmove(s->queue, s->queue + 1, sizeof o * --s->count);
    int result = perform(&o);
    s->done++;
    free(o.staged);
    free(o.parameters);
    return result;
}

int finish(Stream *s, u64 until) {
    while (is_live(s) && s->done < until && s->count) step_once(s);
    return sticky;
}

int unfinished(Stream *s, u64 until) { return is_live(s) && s->done < until && s->count; }

int finish_all(void) {
    for (Stream *s = streams; s; s = s->next) orders_host_waited(s->clock);
    orders_host_waited(legacy.clock);
    finish(&legacy, legacy.submitted);
    for (Stream *s = streams; s; s = s->next) finish(s, s->submitted);
    return sticky;
}

/* The host waits, and so knows that all is done. */
int wait_for(Stream *s) {
    orders_host_waited(s->clock);
    return finish(s, s->submitted);
}

static void keep_arguments(Operation *o) {
    if (o->what != LAUNCH) return;
    u32 n = o->kernel->kernel->parameter_bytes;
    u8 *own = malloc(n + 1);
    memcpy(own, o->parameters, n);
    o->parameters = own;
}

int submit(void *handle, Operation o) {
    if (sticky) return sticky;
    Stream *s = stream_of(handle);
    if (s->capturing) {
        Graph *g = s->capturing;
        if (o.what == FREE_MEMORY) return STREAM_CAPTURE_UNSUPPORTED;
        if (g->count == g->room) g->operations = realloc(g->operations, sizeof o * (g->room = 2 * g->room + 16));
        keep_arguments(&o);
        if (o.what != WAIT_FOR) g->operations[g->count++] = o; /* in the order of capture all waits are kept */
        return OK;
    }
    keep_arguments(&o);
    int pageable_from = o.what == COPY_BYTES && o.from - ARENA >= ARENA_SIZE;
    int pageable_to = o.what == COPY_BYTES && o.to - ARENA >= ARENA_SIZE;
    if (pageable_from && !pageable_to) {
        o.staged = malloc(o.bytes + 1);
        memcpy(o.staged, (void *)o.from, o.bytes);
    }
    if (s->count == s->room) s->queue = realloc(s->queue, sizeof o * (s->room = 2 * s->room + 16));
    if (s == &legacy)
        for (Stream *x = streams; x; x = x->next)
            if (!(x->flags & 1)) orders_learn(s->clock, x->clock);
    if (s != &legacy && !(s->flags & 1)) orders_learn(s->clock, legacy.clock);
    orders_submitted(s, &o);
    s->queue[s->count++] = o;
    s->submitted++;
    if (s == &legacy) { /* waits for the streams that did not ask to be left alone */
        for (Stream *x = streams; x; x = x->next)
            if (!(x->flags & 1)) finish(x, x->submitted);
        return wait_for(s);
    }
    if (pageable_to) return wait_for(s);
    if (!streams_late || s->count > 2048) return finish(s, s->submitted);
    return OK;
}

void streams_reset(void) {
    sticky = OK;
    for (Stream *s = streams; s; s = s->next) s->count = 0, s->done = s->submitted, s->capturing = 0;
    legacy.count = 0;
    legacy.done = legacy.submitted;
    launches = 0;
}

/* Graphs. */

void stream_end_capture(const Graph *graph) {
    for (Stream *s = streams; s; s = s->next)
        if (s->capturing == graph) s->capturing = 0;
}

Graph *graph_copy(const Graph *graph) {
    Graph *g = calloc(1, sizeof *g);
    g->count = g->room = graph->count;
    g->operations = malloc(sizeof *g->operations * (g->count + 1));
    for (u32 k = 0; k < g->count; k++) {
        g->operations[k] = graph->operations[k];
        keep_arguments(g->operations + k);
    }
    return g;
}

void graph_free(Graph *graph) {
    for (u32 k = 0; k < graph->count; k++)
        if (graph->operations[k].what == LAUNCH) free(graph->operations[k].parameters);
    free(graph->operations);
    free(graph);
}

int graph_launch(const Graph *graph, Stream *stream) {
    for (u32 k = 0; k < graph->count; k++) {
        int result = submit(stream, graph->operations[k]);
        if (result) return result;
    }
    return OK;
}
