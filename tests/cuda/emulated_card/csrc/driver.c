/* libcuda.so.1 of the emulated card: the driver's functions that cuda.core calls. A function that is not here is not
   found by cuGetProcAddress, as in an older driver. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "driver.h"

static pthread_mutex_t mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
int driver_lock(void) { return pthread_mutex_lock(&mutex); }
void driver_unlock(int *held) { (void)held; pthread_mutex_unlock(&mutex); }

int capability = 90, multiprocessors = 4;
static int begun;
char library_log[LOG_BYTES];
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
    if (!settings_are_known()) return INVALID_VALUE;
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

Card card(void) {
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
