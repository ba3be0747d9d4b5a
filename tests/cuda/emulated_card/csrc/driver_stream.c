/* The driver's functions of streams, events and graphs. */
#include <stdio.h>
#include <stdlib.h>

#include "driver.h"

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
