/* The stand-in for the driver: what its parts share. */
#pragma once
#include "machine.h"

enum { /* the results of the driver's functions that the stand-in gives */
    OK = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
    INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201,
    NO_BINARY_FOR_GPU = 209,
    INVALID_PTX = 218,
    FILE_NOT_FOUND = 301,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    NOT_READY = 600,
    ILLEGAL_ADDRESS = 700,
    LAUNCH_OUT_OF_RESOURCES = 701,
    LAUNCH_TIMEOUT = 702,
    ILLEGAL_INSTRUCTION = 715,
    MISALIGNED_ADDRESS = 716,
    LAUNCH_FAILED = 719,
    COOPERATIVE_LAUNCH_TOO_LARGE = 720,
    DEVICE_UNAVAILABLE = 46,
    NOT_SUPPORTED = 801,
    STREAM_CAPTURE_UNSUPPORTED = 900,
    STREAM_CAPTURE_INVALIDATED = 901
};

extern int sticky; /* an error after which every call says the same */
extern int capability; /* 90 for sm_90 */
extern int multiprocessors;

typedef struct Library {
    void *code;
    const Image *image;
    void *handles[256];
    u64 at[256];
} Library;

typedef struct LoadedKernel {
    Library *library;
    const Kernel *kernel;
    int dynamic_limit;
    u64 launches;
} LoadedKernel;

/* library.c */
int library_load(Library **library, const void *image, char *log, size_t log_room);
void library_unload(Library *library);

/* stream.c: what streams do, one after the other, and graphs of it. */
typedef enum { COPY_BYTES, FILL_BYTES, LAUNCH, FREE_MEMORY, WAIT_FOR, CALL_HOST } What;
typedef struct Stream Stream;
enum { SLOTS = 64 }; /* of streams, in the clocks of operations */
typedef struct {
    What what;
    u64 to, from, bytes;
    u32 value, width;
    u64 rows, to_pitch; /* of a fill in two dimensions */
    u8 *staged;         /* what a copy from pageable memory read when it was submitted */
    LoadedKernel *kernel;
    u32 grid[3], block[3], shared;
    int cooperative;
    u8 *parameters;
    Stream *other; /* to wait for, */
    u64 until;     /* up to its operation */
    void (*function)(void *);
    void *argument;
    u32 id, clock[SLOTS]; /* what is done before it: orders.c */
} Operation;

typedef struct {
    Operation *operations;
    u32 count, room;
} Graph;

typedef struct {
    Stream *stream;
    u64 at;
    Graph *graph; /* recorded while it was captured */
    int recorded, timed;
    u32 clock[SLOTS];
} Event;

struct Stream {
    u64 id, submitted, done;
    Operation *queue;
    u32 count, room;
    Graph *capturing;
    int captures_first, invalid, flags, priority;
    Stream *next;
    u32 slot, clock[SLOTS];
};

Stream *stream_of(void *handle);
Stream *stream_new(int flags, int priority);
void stream_forget(Stream *stream);
int submit(void *stream, Operation operation);
int finish(Stream *stream, u64 until);
int finish_all(void);
int wait_for(Stream *stream);
int unfinished(Stream *stream, u64 until);
int step_once(Stream *stream);
void streams_reset(void);
void stream_end_capture(const Graph *graph);

/* orders.c */
u32 orders_slot(void);
void orders_slot_free(u32 slot);
void orders_learn(u32 *to, const u32 *from);
void orders_host_waited(const u32 *clock);
void orders_submitted(Stream *stream, Operation *operation);
void orders_run(const Operation *operation);
int orders_touch(u64 at, u64 bytes, b writes); /* by a copy or a fill: 0, or a fault */

/* graphs, in stream.c */
int graph_launch(const Graph *graph, Stream *stream);
Graph *graph_copy(const Graph *graph);
void graph_free(Graph *graph);
int fail_number(const char *name); /* failures.c: -1, or what was ordered by name */
void report(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern int streams_late;
int is_ordered(const char *failure);
int settings_are_known(void); /* or 0, and says which is not */

/* driver*.c: the functions themselves. One thread at a time is in them; after an error that stays they do nothing more. */
#define API __attribute__((visibility("default")))
int driver_lock(void);
void driver_unlock(int *held);
#define LOCK __attribute__((cleanup(driver_unlock), unused)) int held_ = driver_lock()
#define ENTER LOCK; if (sticky) return sticky
#define CONTEXT ((void *)16) /* there is one, */
#define POOL ((void *)32)    /* and one pool that nobody made */
enum { LOG_BYTES = 8192 };
extern char library_log[LOG_BYTES];
typedef struct {
    int capability, shared_opt_in, shared_multiprocessor, threads, blocks;
} Card;
Card card(void); /* the one that EMULATED_CARD names */
