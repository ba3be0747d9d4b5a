/* The driver's functions of memory. */
#include <stdio.h>
#include <stdlib.h>

#include "driver.h"

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
