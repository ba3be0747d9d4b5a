/* The driver's functions of programs and launches. */
#include <stdio.h>
#include <stdlib.h>

#include "driver.h"

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
