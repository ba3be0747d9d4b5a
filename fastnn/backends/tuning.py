"""The numbers that measurements chose for the compiled backends, each with its unit and reason; figures are in
DECISIONS.md. `csrc/generate.py` writes them to constants.h, where L2_BYTES is FNN_L2_BYTES. None changes a bit of a
result. Imports nothing."""

# --- caches ---------------------------------------------------------------------------------------------------------

L1_BYTES = 32_768  # of A that a product may read often as it lies
L2_BYTES = 600_000  # that a kernel may leave to a core's second cache, beside what else has to be there
ALIAS_BYTES = 4096  # rows that lie a multiple of it apart share few sets of a cache

# --- register tiles: by the bytes of a vector -----------------------------------------------------------------------

TILE_ROWS = {64: 14, 32: 6, 16: 4}  # most rows of a tile of two vectors
NARROW_ROWS = {64: 16, 32: 8, 16: 4}  # of one vector
WIDE_ROWS = {64: 6, 32: 2, 16: 1}  # of WIDE_VECTORS
WIDE_VECTORS = 4
DOT_VECTORS = 4  # most vectors of a side of C whose products with the rows of the other are dot products
TILE_PREFETCH_ROWS = 4  # how many rows before its turn a row of B is asked for where it is not packed
FAR_BYTES = 256  # that a tile asks for of a next row of A

# --- packing --------------------------------------------------------------------------------------------------------

# From how many rows of A on B is packed if its columns come slowly, by the bytes of a vector; before that, they are
# read WIDE_VECTORS at a time where that pays.
SLOW_ROWS = {64: 48, 32: 12, 16: 12}
PACK_FROM = 160  # rows of A, if they come fast
PACK_BYTES = 16_384  # least of a chunk of B that repay its packing
LARGE_BYTES = 4 * L2_BYTES  # a B of more is packed from LARGE_ROWS on: packing reads longer pieces than tiles do
LARGE_ROWS = 3  # of A
BLOCK_ROWS = 126  # of A that a product of large matrices packs at a time
BLOCK_BYTES = 2048  # of a float32 row of a block of B
COPIED_ROWS = 12  # of A, beyond which those that share few sets of the first cache are copied
PACKED_STEP = 128  # packed columns of B are a multiple of it
MOST_PACKED = 512  # columns of B
PACKED_CHUNKS = 2  # blocks of B that a thread's scratch holds
PACK_PREFETCH_ROWS = 6  # how many rows before its turn a row of B is asked for when it is packed

# --- products of few rows or columns --------------------------------------------------------------------------------

SUM_ROW_BYTES = 8192  # of a row of sums that stays in the first cache
SUM_ROW_STEPS = 8  # rows of B that are added to it at once
DOT_CHAINS = 4  # sums that single dot products make at once: an fma takes as long as four blocks' exchange for it
TRANSPOSED_ROWS = 112  # of a C^T that are transposed at once
TRANSPOSE_COST = 7  # products of a tile in the time that it takes to transpose an element

# --- how work is cut for threads ------------------------------------------------------------------------------------

ROW_BLOCK = 16  # rows, or columns, that a thread takes at least
PIECE_BYTES = 4096  # of a row of B worth reading alone: beside a shorter piece the processor fetches another core's
COLUMN_ROWS = 24  # of C for each thread, below which a team shares a wide C by columns
COLUMN_ROWS_NT = 64  # of C = A B^T, where each thread transposes its part of B
SHARED_BYTES = L2_BYTES  # least of a W that a team shares by columns
# Least of one that no step changes, so that it may stay in every core's caches, or for fewer rows of a batch than
# SHARED_ROWS: a few elements of each row of a W come slower than whole rows do.
SHARED_LARGE_BYTES = 4 * L2_BYTES
SHARED_ROWS = 4
MOVE_COST = 2  # elements of a W that are read in the time in which one of a batch comes from another core
LEAST_PIECE = 64  # columns of a shared W that a thread takes
MOST_PIECE = 512
PIECES_FROM = 4_000_000  # parameters, which no cache keeps, are taken by pieces

# --- the parameter phase --------------------------------------------------------------------------------------------

GRADIENT_BLOCK = 32_768  # elements of a gradient that stay in cache between dW and the optimizer
GRADIENT_ROWS = 42  # of BLOCK_ROWS whose gradient goes to the optimizer at once
# How far ahead an optimizer asks for its lines: a step is too long a chain for the processor to come to them in time.
STEP_PREFETCH_BYTES = 2048

# --- samples --------------------------------------------------------------------------------------------------------

SAMPLE_BYTES = 512  # most of a row of X that is asked for early: the lines of a longer one come by themselves
SAMPLE_LINES = 16  # that are asked for at once: few more can be under way

# --- waiting --------------------------------------------------------------------------------------------------------

BARRIER_SPINS = 2000  # pauses before a waiting thread yields its core
GATHER_LOOKS = 4000  # of the first thread for the others, about a millisecond, before it works alone
IDLE_LOOKS = 6000  # of a helper for more work, about a millisecond, before it sleeps

# --- how many threads a call repays ---------------------------------------------------------------------------------

FLOPS_PER_THREAD = 1_000_000  # that a thread more must save, or its barriers cost more than they give
CHUNK_ROWS = 16  # that a chunk of the depth is worth to threads that share a product
FLOPS_PER_BYTE = 2  # that a core does in the time in which a byte comes from beyond its caches
UPDATE_FLOPS = 50  # that take as long as an optimizer does for a parameter
MOVED_PARAMETERS = 6_000  # whose way from another core's cache takes as long as a thread has to save
MOST_MOVED = 1 << 17  # parameters that come from one
# Parameters that one core's caches do not keep with their slots: a single thread would fetch most of them from
# elsewhere, too, and two may keep what each updates; and how many then count as moved.
UNCACHED_PARAMETERS = 300_000
MOST_UNCACHED = 1 << 15
