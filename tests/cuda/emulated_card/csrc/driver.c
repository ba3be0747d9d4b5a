/* libcuda.so.1 of the emulated card: the driver's functions that cuda.core calls. A function that is not here is not
   found by cuGetProcAddress, as in an older driver. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "driver.h"

#define API __attribute__((visibility("default")))

static pthread_mutex_t mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static void unlock(int *held) { (void)held; pthread_mutex_unlock(&mutex); }
#define LOCK __attribute__((cleanup(unlock), unused)) int held_ = pthread_mutex_lock(&mutex)
#define ENTER LOCK; if (sticky) return sticky

int capability = 90, multiprocessors = 4;
static int begun;
static char library_log[8192];
static void *const CONTEXT = (void *)16;
static void *const POOL = (void *)32;
static __thread void *current;

static int number(const char *name, int otherwise) {
    const char *text = getenv(name);
    return text && *text ? atoi(text) : otherwise;
}

static int has_check(const char *name) {
    const char *checks = getenv("EMULATED_CHECKS");
    return !checks || strstr(checks, name) != 0;
}

API int cuInit(u32 flags) {
    LOCK;
    (void)flags;
    if (is_ordered("no_device")) return NO_DEVICE;
    if (is_ordered("initialization")) return fail_number("initialization");
    if (begun) return OK;
    const char *order = getenv("EMULATED_ORDER"), *card = getenv("EMULATED_CARD"), *streams = getenv("EMULATED_STREAMS");
    settings.order = !order || !*order || !strcmp(order, "forwards") ? 0 : !strcmp(order, "backwards") ? 1 : !strcmp(order, "random") ? 2 : atoi(order) + 2;
    settings.uninitialised = has_check("uninitialised");
    settings.races = has_check("races");
    settings.fuel = (u64)number("EMULATED_FUEL", 8192) << 20;
    capability = is_ordered("card_too_old") ? 50 : card && *card ? atoi(card + (strncmp(card, "sm_", 3) ? 0 : 3)) : 90;
    settings.multiprocessors = multiprocessors = number("EMULATED_MULTIPROCESSORS", 4);
    memory_total = (u64)number("EMULATED_MEMORY", 1024) << 20;
    streams_late = !streams || strcmp(streams, "early");
    if (memory_begin()) {
        report("the span of addresses of the card's memory is taken, or the limit of this process's addresses is too low");
        return OUT_OF_MEMORY;
    }
    begun = 1;
    return OK;
}

API int cuDriverGetVersion(int *version) {
    *version = is_ordered("driver_too_old") ? 12020 : number("EMULATED_DRIVER", 13000);
    return OK;
}

/* For tests of the instrument: the card as new, its settings read again; and what the last fault was. */
API void emulated_reset(void) {
    LOCK;
    streams_reset();
    memory_reset();
    memset(&last_fault, 0, sizeof last_fault);
    begun = 0;
    cuInit(0);
}
API const char *emulated_fault(void) { return last_fault.kind ? last_fault.text : ""; }
API const char *emulated_log(void) { return library_log; }
API int emulated_multiprocessors(void) { return multiprocessors; }

/* The device. */

typedef struct {
    int capability, shared_opt_in, shared_multiprocessor, threads, blocks;
} Card;

static Card card(void) {
    static const Card cards[] = {{50, 49152, 65536, 2048, 32}, {75, 65536, 65536, 1024, 16}, {80, 166912, 167936, 2048, 32},
        {86, 101376, 102400, 1536, 16}, {89, 101376, 102400, 1536, 24}, {90, 232448, 233472, 2048, 32},
        {100, 232448, 233472, 2048, 32}, {120, 101376, 102400, 1536, 24}};
    for (int k = sizeof cards / sizeof *cards - 1; k >= 0; k--)
        if (capability >= cards[k].capability) return cards[k];
    return cards[0];
}

API int cuDeviceGetCount(int *n) { *n = is_ordered("no_devices") ? 0 : 1; return OK; }
API int cuDeviceGet(int *device, int i) { *device = i; return i == 0 && !is_ordered("no_devices") ? OK : INVALID_DEVICE; }
API int cuDeviceGetName(char *name, int n, int device) { (void)device; snprintf(name, n, "emulated sm_%d", capability); return OK; }
API int cuDeviceTotalMem_v2(size_t *bytes, int device) { (void)device; *bytes = memory_total; return OK; }
API int cuDeviceGetUuid_v2(char *uuid, int device) { (void)device; memcpy(uuid, "emulated card\0\0", 16); return OK; }
API int cuDeviceGetUuid(char *uuid, int device) { return cuDeviceGetUuid_v2(uuid, device); }
API int cuDeviceGetPCIBusId(char *id, int n, int device) { (void)device; snprintf(id, n, "0000:00:00.0"); return OK; }
API int cuDeviceCanAccessPeer(int *can, int a, int c) { (void)a; (void)c; *can = 0; return OK; }
API int cuDeviceComputeCapability(int *major, int *minor, int device) { (void)device; *major = capability / 10; *minor = capability % 10; return OK; }
API int cuDeviceGetAttribute(int *value, int attribute, int device) {
    (void)device;
    Card c = card();
    switch (attribute) {
        case 1: *value = 1024; break;                /* threads of a block */
        case 2: case 3: *value = 1024; break;        /* along x, y */
        case 4: *value = 64; break;
        case 5: *value = 2147483647; break;          /* blocks of a grid along x */
        case 6: case 7: *value = 65535; break;
        case 8: *value = 49152; break;               /* shared memory of a block */
        case 9: *value = 65536; break;               /* constant memory */
        case 10: *value = 32; break;                 /* threads of a warp */
        case 11: *value = 2147483647; break;         /* pitch */
        case 12: case 82: *value = 65536; break;     /* registers */
        case 13: *value = 1000000; break;            /* clock, kHz */
        case 14: *value = 512; break;
        case 15: case 19: case 31: case 41: case 78: case 83: case 90: case 95: case 115: *value = 1; break;
        case 16: *value = multiprocessors; break;
        case 36: *value = 1000000; break;            /* clock of the memory, kHz */
        case 37: *value = 1024; break;               /* width of its bus */
        case 38: *value = 4 << 20; break;            /* L2 */
        case 39: *value = c.threads; break;
        case 40: *value = 2; break;                  /* engines that copy */
        case 75: *value = capability / 10; break;
        case 76: *value = capability % 10; break;
        case 81: *value = c.shared_multiprocessor; break;
        case 97: *value = c.shared_opt_in; break;
        case 106: *value = c.blocks; break;
        case 111: *value = 1024; break;
        default: *value = 0;
    }
    return OK;
}

/* Contexts: there is one. */

API int cuDevicePrimaryCtxRetain(void **context, int device) { ENTER; (void)device; *context = CONTEXT; return OK; }
API int cuDevicePrimaryCtxRelease_v2(int device) { (void)device; return OK; }
API int cuDevicePrimaryCtxReset_v2(int device) { LOCK; (void)device; return sticky; }
API int cuDevicePrimaryCtxGetState(int device, u32 *flags, int *active) { (void)device; *flags = 0; *active = 1; return OK; }
API int cuCtxGetCurrent(void **context) { *context = current; return OK; }
API int cuCtxSetCurrent(void *context) { current = context; return OK; }
API int cuCtxPushCurrent_v2(void *context) { current = context; return OK; }
API int cuCtxPopCurrent_v2(void **context) { if (context) *context = current; current = 0; return OK; }
API int cuCtxGetDevice(int *device) { *device = 0; return current ? OK : INVALID_CONTEXT; }
API int cuCtxGetDevice_v2(int *device, void *context) { (void)context; *device = 0; return OK; }
API int cuCtxGetId(void *context, u64 *id) { (void)context; *id = 1; return OK; }
API int cuCtxGetApiVersion(void *context, u32 *version) { (void)context; *version = 13000; return OK; }
API int cuCtxGetFlags(u32 *flags) { *flags = 0; return OK; }
API int cuCtxGetStreamPriorityRange(int *least, int *most) { *least = 0; *most = -5; return OK; }
API int cuCtxSynchronize(void) { ENTER; return finish_all(); }
API int cuCtxSynchronize_v2(void *context) { ENTER; (void)context; return finish_all(); }

/* Memory. */

static int take(u64 *at, size_t bytes, int kind) {
    static u64 taken;
    if (!bytes) return INVALID_VALUE;
    int chosen = fail_number("out_of_memory");
    if (kind != MEMORY_HOST && chosen >= 0 && ++taken >= (u64)chosen) return OUT_OF_MEMORY;
    *at = memory_take(bytes, 512, kind, 0);
    return *at ? OK : OUT_OF_MEMORY;
}

static int give_back(u64 at, int kind) {
    if (!at) return OK;
    finish_all();
    if (!memory_give_back(at, kind)) return sticky;
    report("%s", last_fault.text);
    return INVALID_VALUE;
}

API int cuMemGetInfo_v2(size_t *left, size_t *total) { ENTER; *total = memory_total; *left = memory_total - memory_used(); return OK; }
API int cuMemAlloc_v2(u64 *at, size_t bytes) { ENTER; return take(at, bytes, MEMORY_DEVICE); }
API int cuMemFree_v2(u64 at) { LOCK; return give_back(at, MEMORY_DEVICE); }
API int cuMemAllocManaged(u64 *at, size_t bytes, u32 flags) { ENTER; (void)flags; return take(at, bytes, MEMORY_MANAGED); }
API int cuMemAllocHost_v2(void **at, size_t bytes) { ENTER; return take((u64 *)at, bytes, MEMORY_HOST); }
API int cuMemHostAlloc(void **at, size_t bytes, u32 flags) { ENTER; (void)flags; return take((u64 *)at, bytes, MEMORY_HOST); }
API int cuMemFreeHost(void *at) { LOCK; return give_back((u64)at, MEMORY_HOST); }
API int cuMemHostGetDevicePointer_v2(u64 *at, void *host, u32 flags) { (void)flags; *at = (u64)host; return OK; }
API int cuMemHostRegister_v2(void *at, size_t bytes, u32 flags) { (void)at; (void)bytes; (void)flags; return NOT_SUPPORTED; }
static int allocate_in_order(u64 *at, size_t bytes, void *stream) {
    if (stream_of(stream)->capturing) return STREAM_CAPTURE_UNSUPPORTED; /* graphs that allocate are not emulated */
    return take(at, bytes, MEMORY_POOL);
}
API int cuMemAllocAsync(u64 *at, size_t bytes, void *stream) { ENTER; return allocate_in_order(at, bytes, stream); }
API int cuMemAllocFromPoolAsync(u64 *at, size_t bytes, void *pool, void *stream) { ENTER; (void)pool; return allocate_in_order(at, bytes, stream); }
API int cuMemFreeAsync(u64 at, void *stream) { ENTER; return submit(stream, (Operation){.what = FREE_MEMORY, .to = at}); }
API int cuDeviceGetDefaultMemPool(void **pool, int device) { (void)device; *pool = POOL; return OK; }
API int cuDeviceGetMemPool(void **pool, int device) { (void)device; *pool = POOL; return OK; }
API int cuDeviceSetMemPool(int device, void *pool) { (void)device; (void)pool; return OK; }
API int cuMemGetDefaultMemPool(void **pool, void *location, int type) { (void)location; (void)type; *pool = POOL; return OK; }
API int cuMemGetMemPool(void **pool, void *location, int type) { (void)location; (void)type; *pool = POOL; return OK; }
API int cuMemPoolCreate(void **pool, const void *properties) { (void)properties; *pool = malloc(8); return OK; }
API int cuMemPoolDestroy(void *pool) { (void)pool; return OK; }
API int cuMemPoolTrimTo(void *pool, size_t bytes) { (void)pool; (void)bytes; return OK; }
API int cuMemPoolSetAttribute(void *pool, int attribute, void *value) { (void)pool; (void)attribute; (void)value; return OK; }
API int cuMemPoolGetAttribute(void *pool, int attribute, void *value) {
    (void)pool;
    if (attribute <= 3) *(int *)value = 1;
    else *(u64 *)value = attribute == 4 ? ~0ull : memory_used();
    return OK;
}
API int cuPointerGetAttributes(u32 n, int *which, void **data, u64 at) {
    LOCK;
    const Allocation *a = memory_of(at);
    for (u32 k = 0; k < n; k++) switch (which[k]) {
            case 1: *(void **)data[k] = a ? CONTEXT : 0; break;
            case 2: *(u32 *)data[k] = a ? a->kind == MEMORY_HOST ? 1 : 2 : 0; break;
            case 3: case 4: *(u64 *)data[k] = a ? at : 0; break;
            case 7: *(u64 *)data[k] = a ? a->number : 0; break;
            case 8: *(u8 *)data[k] = a && a->kind == MEMORY_MANAGED; break;
            case 9: *(int *)data[k] = a ? 0 : -2; break;
            default: *(u32 *)data[k] = 0;
        }
    return OK;
}
API int cuPointerGetAttribute(void *data, int which, u64 at) { return cuPointerGetAttributes(1, &which, &data, at); }
API int cuMemGetAddressRange_v2(u64 *base, size_t *bytes, u64 at) {
    LOCK;
    const Allocation *a = memory_of(at);
    if (!a) return NOT_FOUND;
    if (base) *base = a->at;
    if (bytes) *bytes = a->bytes;
    return OK;
}

static int copy(void *stream, u64 to, u64 from, size_t bytes) {
    if (!bytes) return OK;
    return submit(stream, (Operation){.what = COPY_BYTES, .to = to, .from = from, .bytes = bytes});
}
API int cuMemcpy(u64 to, u64 from, size_t n) { ENTER; return copy(0, to, from, n); }
API int cuMemcpyAsync(u64 to, u64 from, size_t n, void *s) { ENTER; return copy(s, to, from, n); }
API int cuMemcpyHtoD_v2(u64 to, const void *from, size_t n) { ENTER; return copy(0, to, (u64)from, n); }
API int cuMemcpyDtoH_v2(void *to, u64 from, size_t n) { ENTER; return copy(0, (u64)to, from, n); }
API int cuMemcpyDtoD_v2(u64 to, u64 from, size_t n) { ENTER; return copy(0, to, from, n); }
API int cuMemcpyHtoDAsync_v2(u64 to, const void *from, size_t n, void *s) { ENTER; return copy(s, to, (u64)from, n); }
API int cuMemcpyDtoHAsync_v2(void *to, u64 from, size_t n, void *s) { ENTER; return copy(s, (u64)to, from, n); }
API int cuMemcpyDtoDAsync_v2(u64 to, u64 from, size_t n, void *s) { ENTER; return copy(s, to, from, n); }

static int fill(void *stream, u64 to, u32 value, size_t n, int width, u64 rows, u64 pitch) {
    if (to % width) return INVALID_VALUE;
    if (!n || !rows) return OK;
    return submit(stream, (Operation){.what = FILL_BYTES, .to = to, .bytes = n * width, .value = value, .width = width, .rows = rows, .to_pitch = pitch});
}
API int cuMemsetD8_v2(u64 to, u8 v, size_t n) { ENTER; return fill(0, to, v, n, 1, 1, 0); }
API int cuMemsetD16_v2(u64 to, u16 v, size_t n) { ENTER; return fill(0, to, v, n, 2, 1, 0); }
API int cuMemsetD32_v2(u64 to, u32 v, size_t n) { ENTER; return fill(0, to, v, n, 4, 1, 0); }
API int cuMemsetD8Async(u64 to, u8 v, size_t n, void *s) { ENTER; return fill(s, to, v, n, 1, 1, 0); }
API int cuMemsetD16Async(u64 to, u16 v, size_t n, void *s) { ENTER; return fill(s, to, v, n, 2, 1, 0); }
API int cuMemsetD32Async(u64 to, u32 v, size_t n, void *s) { ENTER; return fill(s, to, v, n, 4, 1, 0); }
API int cuMemsetD2D32Async(u64 to, size_t pitch, u32 v, size_t w, size_t h, void *s) { ENTER; return fill(s, to, v, w, 4, h, pitch); }

/* Streams and events. */

API int cuStreamCreate(void **s, u32 flags) { ENTER; *s = stream_new(flags, 0); return OK; }
API int cuStreamCreateWithPriority(void **s, u32 flags, int priority) { ENTER; *s = stream_new(flags, priority); return OK; }
API int cuStreamDestroy_v2(void *s) { LOCK; stream_forget(s); return OK; }
API int cuStreamSynchronize(void *s) {
    ENTER;
    Stream *stream = stream_of(s);
    if (stream->capturing) { stream->invalid = 1; return STREAM_CAPTURE_UNSUPPORTED; }
    return (u64)s < 16 ? finish_all() : wait_for(stream);
}
API int cuStreamQuery(void *s) {
    ENTER;
    Stream *stream = stream_of(s);
    if (!stream->count) return wait_for(stream);
    step_once(stream);
    return sticky ? sticky : stream->count ? NOT_READY : OK;
}
API int cuStreamGetCtx(void *s, void **context) { (void)s; *context = CONTEXT; return OK; }
API int cuStreamGetCtx_v2(void *s, void **context, void **green) { (void)s; *context = CONTEXT; *green = 0; return OK; }
API int cuStreamGetDevice(void *s, int *device) { (void)s; *device = 0; return OK; }
API int cuStreamGetFlags(void *s, u32 *flags) { *flags = stream_of(s)->flags; return OK; }
API int cuStreamGetPriority(void *s, int *priority) { *priority = stream_of(s)->priority; return OK; }
API int cuStreamGetId(void *s, u64 *id) { *id = stream_of(s)->id; return OK; }
API int cuEventCreate(void **e, u32 flags) { ENTER; Event *x = calloc(1, sizeof *x); x->timed = !(flags & 2); *e = x; return OK; }
API int cuEventDestroy_v2(void *e) { LOCK; free(e); return OK; }
static int record(Event *e, void *s) {
    Stream *stream = stream_of(s);
    e->stream = stream;
    e->at = stream->submitted;
    e->graph = stream->capturing;
    e->recorded = 1;
    memcpy(e->clock, stream->clock, sizeof e->clock);
    return OK;
}
API int cuEventRecord(void *e, void *s) { ENTER; return record(e, s); }
API int cuEventRecordWithFlags(void *e, void *s, u32 flags) { ENTER; (void)flags; return record(e, s); }
API int cuEventSynchronize(void *event) {
    ENTER;
    Event *e = event;
    if (!e->recorded) return OK;
    orders_host_waited(e->clock);
    return finish(e->stream, e->at);
}
API int cuEventQuery(void *event) {
    ENTER;
    Event *e = event;
    if (!e->recorded) return OK;
    if (!unfinished(e->stream, e->at)) {
        orders_host_waited(e->clock);
        return OK;
    }
    step_once(e->stream);
    return sticky ? sticky : unfinished(e->stream, e->at) ? NOT_READY : OK;
}
API int cuEventElapsedTime(float *ms, void *a, void *c) {
    ENTER;
    Event *x = a, *y = c;
    if (!x->timed || !y->timed) return INVALID_HANDLE;
    *ms = 0; /* time means nothing here */
    return OK;
}
API int cuEventElapsedTime_v2(float *ms, void *a, void *c) { return cuEventElapsedTime(ms, a, c); }
API int cuStreamWaitEvent(void *s, void *event, u32 flags) {
    ENTER;
    (void)flags;
    Event *e = event;
    Stream *stream = stream_of(s);
    if (!e->recorded) return OK;
    if (e->graph) { stream->capturing = e->graph; return OK; }
    orders_learn(stream->clock, e->clock);
    return submit(s, (Operation){.what = WAIT_FOR, .other = e->stream, .until = e->at});
}
API int cuLaunchHostFunc(void *s, void (*function)(void *), void *argument) {
    ENTER;
    return submit(s, (Operation){.what = CALL_HOST, .function = function, .argument = argument});
}

/* Graphs. */

API int cuStreamBeginCapture_v2(void *s, int mode) {
    ENTER;
    (void)mode;
    Stream *stream = stream_of(s);
    if ((u64)s < 16 || stream->capturing) return STREAM_CAPTURE_UNSUPPORTED;
    stream->capturing = calloc(1, sizeof(Graph));
    stream->captures_first = 1;
    stream->invalid = 0;
    return OK;
}
API int cuStreamBeginCapture(void *s, int mode) { return cuStreamBeginCapture_v2(s, mode); }
API int cuStreamEndCapture(void *s, void **graph) {
    ENTER;
    Stream *stream = stream_of(s);
    *graph = stream->capturing;
    if (!stream->captures_first) return STREAM_CAPTURE_INVALIDATED;
    stream_end_capture(stream->capturing);
    stream->captures_first = 0;
    return stream->invalid ? STREAM_CAPTURE_INVALIDATED : OK;
}
API int cuStreamIsCapturing(void *s, int *status) { Stream *x = stream_of(s); *status = x->capturing ? x->invalid ? 2 : 1 : 0; return OK; }
API int cuStreamGetCaptureInfo_v3(void *s, int *status, u64 *id, void **graph, const void **on, const void **edges, size_t *n) {
    cuStreamIsCapturing(s, status);
    if (id) *id = 1;
    if (graph) *graph = stream_of(s)->capturing;
    if (on) *on = 0;
    if (edges) *edges = 0;
    if (n) *n = 0;
    return OK;
}
API int cuStreamGetCaptureInfo_v2(void *s, int *status, u64 *id, void **graph, const void **on, size_t *n) { return cuStreamGetCaptureInfo_v3(s, status, id, graph, on, 0, n); }
API int cuThreadExchangeStreamCaptureMode(int *mode) { (void)mode; return OK; }
API int cuGraphCreate(void **graph, u32 flags) { ENTER; (void)flags; *graph = calloc(1, sizeof(Graph)); return OK; }
API int cuGraphInstantiateWithFlags(void **made, void *graph, u64 flags) { ENTER; (void)flags; *made = graph_copy(graph); return OK; }
API int cuGraphInstantiateWithParams(void **made, void *graph, void *parameters) { ENTER; *made = graph_copy(graph); if (parameters) *(int *)((u8 *)parameters + 24) = 0; return OK; }
API int cuGraphLaunch(void *graph, void *s) { ENTER; return graph_launch(graph, s); }
API int cuGraphUpload(void *graph, void *s) { (void)graph; (void)s; return OK; }
API int cuGraphExecDestroy(void *graph) { LOCK; graph_free(graph); return OK; }
API int cuGraphDestroy(void *graph) { LOCK; graph_free(graph); return OK; }
API int cuGraphClone(void **made, void *graph) { ENTER; *made = graph_copy(graph); return OK; }
API int cuGraphExecGetFlags(void *graph, u64 *flags) { (void)graph; *flags = 0; return OK; }
API int cuGraphGetNodes(void *graph, void **nodes, size_t *n) {
    Graph *g = graph;
    if (nodes) for (size_t k = 0; k < *n && k < g->count; k++) nodes[k] = g->operations + k;
    *n = g->count;
    return OK;
}
API int cuGraphNodeGetType(void *node, int *type) { What w = ((Operation *)node)->what; *type = w == LAUNCH ? 0 : w == COPY_BYTES ? 1 : w == FILL_BYTES ? 2 : 3; return OK; }
API int cuGraphGetEdges_v2(void *graph, void **from, void **to, void *data, size_t *n) { (void)graph; (void)from; (void)to; (void)data; *n = 0; return OK; }
API int cuUserObjectCreate(void **o, void *p, void *destroy, u32 n, u32 flags) { (void)destroy; (void)n; (void)flags; *o = p; return OK; }
API int cuUserObjectRelease(void *o, u32 n) { (void)o; (void)n; return OK; }
API int cuGraphRetainUserObject(void *g, void *o, u32 n, u32 flags) { (void)g; (void)o; (void)n; (void)flags; return OK; }
API int cuGraphReleaseUserObject(void *g, void *o, u32 n) { (void)g; (void)o; (void)n; return OK; }

/* Programs and launches. */

API int cuLibraryLoadData(void **library, const void *code, int *options, void **values, u32 n, int *own, void **own_values, u32 own_n) {
    ENTER;
    (void)own; (void)own_values; (void)own_n;
    int result = library_load((Library **)library, code, library_log, sizeof library_log);
    if (!result) return OK;
    report("%s", library_log);
    char *log = 0;
    size_t room = 0;
    for (u32 k = 0; k < n; k++) {
        if (options[k] == 5) log = values[k];
        if (options[k] == 6) room = (size_t)values[k];
    }
    if (log && room) snprintf(log, room, "%s", library_log);
    return result;
}
API int cuLibraryLoadFromFile(void **library, const char *path, int *o, void **v, u32 n, int *lo, void **lv, u32 ln) {
    FILE *f = fopen(path, "rb");
    if (!f) return FILE_NOT_FOUND;
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    rewind(f);
    char *text = calloc(1, size + 1);
    size_t got = fread(text, 1, size, f);
    fclose(f);
    int result = got == (size_t)size ? cuLibraryLoadData(library, text, o, v, n, lo, lv, ln) : FILE_NOT_FOUND;
    free(text);
    return result;
}
API int cuLibraryUnload(void *library) { LOCK; finish_all(); library_unload(library); return OK; }
API int cuLibraryGetKernel(void **kernel, void *library, const char *name) {
    ENTER;
    Library *l = library;
    for (u32 k = 0; k < l->image->kernel_count && k < 256; k++) {
        if (strcmp(l->image->kernels[k].name, name)) continue;
        if (!l->handles[k]) {
            LoadedKernel *made = calloc(1, sizeof *made);
            made->library = l;
            made->kernel = l->image->kernels + k;
            made->dynamic_limit = 49152 - (made->kernel->static_shared - 1024);
            l->handles[k] = made;
        }
        *kernel = l->handles[k];
        return OK;
    }
    return NOT_FOUND;
}
API int cuLibraryGetKernelCount(u32 *n, void *library) { *n = ((Library *)library)->image->kernel_count; return OK; }
API int cuLibraryGetGlobal(u64 *at, size_t *bytes, void *library, const char *name) {
    ENTER;
    const Image *image = ((Library *)library)->image;
    for (u32 k = 0; k < image->variable_count; k++)
        if (!strcmp(image->variables[k].name, name)) {
            if (at) *at = image->variable_at[k];
            if (bytes) *bytes = image->variables[k].bytes;
            return OK;
        }
    return NOT_FOUND;
}
API int cuModuleLoadData(void **module, const void *code) { return cuLibraryLoadData(module, code, 0, 0, 0, 0, 0, 0); }
API int cuModuleUnload(void *module) { return cuLibraryUnload(module); }
API int cuModuleGetFunction(void **function, void *module, const char *name) { return cuLibraryGetKernel(function, module, name); }
API int cuKernelGetFunction(void **function, void *kernel) { *function = kernel; return OK; }
API int cuKernelGetLibrary(void **library, void *kernel) { *library = ((LoadedKernel *)kernel)->library; return OK; }
API int cuKernelGetName(const char **name, void *kernel) { *name = ((LoadedKernel *)kernel)->kernel->name; return OK; }
API int cuFuncGetName(const char **name, void *kernel) { *name = ((LoadedKernel *)kernel)->kernel->name; return OK; }
API int cuKernelGetParamInfo(void *kernel, size_t k, size_t *offset, size_t *size) {
    const Kernel *x = ((LoadedKernel *)kernel)->kernel;
    if (k >= x->parameters) return INVALID_VALUE;
    *offset = x->offsets[k];
    if (size) *size = x->sizes[k];
    return OK;
}
API int cuFuncGetParamInfo(void *f, size_t k, size_t *offset, size_t *size) { return cuKernelGetParamInfo(f, k, offset, size); }
static int kernel_attribute(int *value, int attribute, LoadedKernel *k) {
    switch (attribute) {
        case 0: *value = k->kernel->most_threads; break;
        case 1: *value = k->kernel->static_shared - 1024; break;
        case 4: *value = 255; break; /* registers: unknown, so the most that a thread can have */
        case 5: case 6: *value = capability; break;
        case 8: *value = k->dynamic_limit; break;
        default: *value = 0;
    }
    return OK;
}
static int set_kernel_attribute(int attribute, int value, LoadedKernel *k) {
    if (attribute == 8) {
        if (value < 0 || value + (int)k->kernel->static_shared - 1024 > card().shared_opt_in) return INVALID_VALUE;
        k->dynamic_limit = value;
    }
    return OK;
}
API int cuKernelGetAttribute(int *value, int attribute, void *kernel, int device) { ENTER; (void)device; return kernel_attribute(value, attribute, kernel); }
API int cuFuncGetAttribute(int *value, int attribute, void *kernel) { ENTER; return kernel_attribute(value, attribute, kernel); }
API int cuKernelSetAttribute(int attribute, int value, void *kernel, int device) { ENTER; (void)device; return set_kernel_attribute(attribute, value, kernel); }
API int cuFuncSetAttribute(void *kernel, int attribute, int value) { ENTER; return set_kernel_attribute(attribute, value, kernel); }
API int cuKernelSetCacheConfig(void *kernel, int config, int device) { (void)kernel; (void)config; (void)device; return OK; }

/* How many blocks are promised to be resident together. Registers are unknown, so beyond one block a multiprocessor only
   what the kernel's launch bounds promise. */
static int occupancy(const Kernel *k, int threads, size_t shared) {
    Card c = card();
    int most = c.threads / threads, by_shared = c.shared_multiprocessor / (int)(shared + k->static_shared);
    if (most > c.blocks) most = c.blocks;
    if (most > by_shared) most = by_shared;
    return most < (int)k->least_blocks ? most : (int)k->least_blocks;
}
API int cuOccupancyMaxActiveBlocksPerMultiprocessor(int *n, void *kernel, int threads, size_t shared) {
    ENTER;
    if (threads < 1) return INVALID_VALUE;
    *n = occupancy(((LoadedKernel *)kernel)->kernel, threads, shared);
    return OK;
}
API int cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *n, void *k, int threads, size_t shared, u32 flags) { (void)flags; return cuOccupancyMaxActiveBlocksPerMultiprocessor(n, k, threads, shared); }

typedef struct {
    u32 grid[3], block[3], shared;
    void *stream;
    u8 *attributes;
    u32 count;
} Config;
enum { ATTRIBUTE_BYTES = 72, COOPERATIVE = 2, CLUSTER_DIMENSION = 4, PROGRAMMATIC = 6 };

static int refuse(int code, const char *why, const Kernel *k, const Config *c) {
    last_fault.kind = code == COOPERATIVE_LAUNCH_TOO_LARGE ? NOT_RESIDENT : BAD_LAUNCH;
    snprintf(last_fault.text, sizeof last_fault.text, "%s: %s: kernel %s with grid (%u,%u,%u), block (%u,%u,%u), %u bytes of shared memory",
        fault_name(last_fault.kind), why, k->name, c->grid[0], c->grid[1], c->grid[2], c->block[0], c->block[1], c->block[2], c->shared);
    report("%s", last_fault.text);
    return code;
}

API int cuLaunchKernelEx(const Config *c, void *function, void **parameters, void **extra) {
    ENTER;
    LoadedKernel *loaded = function;
    const Kernel *k = loaded->kernel;
    Operation o = {.what = LAUNCH, .kernel = loaded, .shared = c->shared};
    memcpy(o.grid, c->grid, sizeof o.grid);
    memcpy(o.block, c->block, sizeof o.block);
    u64 threads = (u64)c->block[0] * c->block[1] * c->block[2], blocks = (u64)c->grid[0] * c->grid[1] * c->grid[2];
    if (!threads || threads > 1024 || c->block[2] > 64 || !blocks || c->grid[1] > 65535 || c->grid[2] > 65535 || c->grid[0] > 2147483647)
        return refuse(INVALID_VALUE, "no such block or grid", k, c);
    if (threads > k->most_threads) return refuse(INVALID_VALUE, "more threads than the kernel's launch bounds allow", k, c);
    if ((int)c->shared > loaded->dynamic_limit) return refuse(INVALID_VALUE, "more dynamic shared memory than the kernel was allowed", k, c);
    for (u32 i = 0; i < c->count; i++) {
        int id;
        memcpy(&id, c->attributes + ATTRIBUTE_BYTES * i, 4);
        const u32 *value = (u32 *)(c->attributes + ATTRIBUTE_BYTES * i + 8);
        if (id == COOPERATIVE) o.cooperative = value[0] != 0;
        else if (id == CLUSTER_DIMENSION && value[0] * value[1] * value[2] != 1) return refuse(NOT_SUPPORTED, "clusters are not emulated", k, c);
        else if (id == PROGRAMMATIC && value[0]) return refuse(NOT_SUPPORTED, "programmatic launches are not emulated", k, c);
    }
    if (o.cooperative && blocks > (u64)multiprocessors * occupancy(k, (int)threads, c->shared))
        return refuse(COOPERATIVE_LAUNCH_TOO_LARGE, "more blocks than the card holds at a time", k, c);
    u8 packed[4096];
    if (extra) {
        size_t n = 0;
        const void *from = 0;
        for (; *extra; extra += 2)
            if (*extra == (void *)1) from = extra[1];
            else n = *(size_t *)extra[1];
        if (n != k->parameter_bytes || !from) return refuse(INVALID_VALUE, "parameters of another size", k, c);
        memcpy(packed, from, n);
    } else
        for (u32 i = 0; i < k->parameters; i++) memcpy(packed + k->offsets[i], parameters[i], k->sizes[i]);
    o.parameters = packed;
    return submit(c->stream, o);
}
API int cuLaunchKernel(void *f, u32 gx, u32 gy, u32 gz, u32 bx, u32 by, u32 bz, u32 shared, void *s, void **p, void **e) {
    Config c = {{gx, gy, gz}, {bx, by, bz}, shared, s, 0, 0};
    return cuLaunchKernelEx(&c, f, p, e);
}
API int cuLaunchCooperativeKernel(void *f, u32 gx, u32 gy, u32 gz, u32 bx, u32 by, u32 bz, u32 shared, void *s, void **p) {
    u32 attribute[ATTRIBUTE_BYTES / 4] = {COOPERATIVE, 0, 1};
    Config c = {{gx, gy, gz}, {bx, by, bz}, shared, s, (u8 *)attribute, 1};
    return cuLaunchKernelEx(&c, f, p, 0);
}

/* Errors. */

API int cuGetErrorName(int error, const char **name) {
    static const struct { int code; const char *name; } names[] = {{OK, "CUDA_SUCCESS"}, {INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE"},
        {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY"}, {NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED"}, {DEVICE_UNAVAILABLE, "CUDA_ERROR_DEVICE_UNAVAILABLE"},
        {NO_DEVICE, "CUDA_ERROR_NO_DEVICE"}, {INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE"}, {INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE"},
        {INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT"}, {NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU"}, {INVALID_PTX, "CUDA_ERROR_INVALID_PTX"},
        {FILE_NOT_FOUND, "CUDA_ERROR_FILE_NOT_FOUND"}, {INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE"}, {NOT_FOUND, "CUDA_ERROR_NOT_FOUND"},
        {NOT_READY, "CUDA_ERROR_NOT_READY"}, {ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS"}, {LAUNCH_OUT_OF_RESOURCES, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"},
        {LAUNCH_TIMEOUT, "CUDA_ERROR_LAUNCH_TIMEOUT"}, {ILLEGAL_INSTRUCTION, "CUDA_ERROR_ILLEGAL_INSTRUCTION"}, {MISALIGNED_ADDRESS, "CUDA_ERROR_MISALIGNED_ADDRESS"},
        {LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED"}, {COOPERATIVE_LAUNCH_TOO_LARGE, "CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE"},
        {NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED"}, {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"},
        {STREAM_CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"}, {STREAM_CAPTURE_INVALIDATED, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"}};
    *name = "CUDA_ERROR_UNKNOWN";
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (names[k].code == error) *name = names[k].name;
    return OK;
}
API int cuGetErrorString(int error, const char **text) {
    *text = sticky && error == sticky && last_fault.kind ? last_fault.text : error == INVALID_PTX || error == INVALID_IMAGE || error == NO_BINARY_FOR_GPU ? library_log : "as the emulated card says";
    return OK;
}

/* The functions by name: the newest version that is here. */
API int cuGetProcAddress_v2(const char *name, void **function, int version, u64 flags, int *status) {
    static void *self;
    (void)version; (void)flags;
    if (!self) {
        Dl_info info;
        dladdr((void *)cuInit, &info);
        self = dlopen(info.dli_fname, RTLD_LAZY);
    }
    char versioned[128];
    *function = 0;
    for (int v = 4; v > 1 && !*function; v--) {
        snprintf(versioned, sizeof versioned, "%s_v%d", name, v);
        *function = dlsym(self, versioned);
    }
    if (!*function) *function = dlsym(self, name);
    if (!*function && getenv("EMULATED_TRACE")) fprintf(stderr, "emulated card: no %s\n", name);
    if (status) *status = *function ? 0 : 1;
    return *function ? OK : NOT_FOUND;
}
API int cuGetProcAddress(const char *name, void **function, int version, u64 flags) { return cuGetProcAddress_v2(name, function, version, flags, 0); }
