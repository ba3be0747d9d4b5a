"""The parameter phase of a step: the gradients of some rows of every W, which stay in cache, and the optimizer."""

from __future__ import annotations

from ..tuning import BLOCK_BYTES, BLOCK_ROWS, GRADIENT_BLOCK, GRADIENT_ROWS, PIECES_FROM, ROW_BLOCK, STEP_PREFETCH_BYTES
from .binary import binary, embedding_backward, fill
from .elementwise import copy, penalty_backward
from .gemm import gemm, packs_columns
from .gemm_blocks import K_CHUNK, gemm_rows, pack_panels, pack_size, packed_columns
from .gemm_tile import ACCUMULATE, BYTES, PACKED
from .jit import device
from .memory import double_at, integer_at, itemsize, real
from .operations import sum_batch
from .table import ADD, CallEntry, Column, Entry, ParameterEntry, Phase, Role
from .threads import barrier, next_piece
from .update import add_squares, clips_norms, decay_of, norm_factor, update_range
from .workspace import buffer, constant, entry, instruction, lap, padded, parameter


@device
def vector_gradient(m, index, gradient, first, n, batch_rows):
    """The gradient of a vector's elements first .. first + n - 1."""
    made = integer_at(parameter(m, index), ParameterEntry.MADE)
    if made >= 0:  # by the row phase
        copy(m.dtype, gradient, entry(m, Entry.WORKSPACE) + (made + first) * itemsize(m.dtype), n)
    else:
        sum_batch(m.dtype, entry(m, Entry.GRADIENTS) + index * CallEntry.WIDTH * 8, gradient, first, n, batch_rows)


@device
def finish_block(m, row, first, rows, column, columns, gradient, ld, s):
    """What follows the gradient of a block of a parameter: its penalty's share, the optimizer."""
    size, width = itemsize(m.dtype), integer_at(row, ParameterEntry.COLUMNS)
    runs, length, ahead = rows, columns, width * size
    if columns == width:
        runs, length, ahead = 1, rows * columns, STEP_PREFETCH_BYTES
    penalty = integer_at(row, ParameterEntry.PENALTY)
    lap(m, Phase.BACKWARD)
    for run in range(runs):
        place = integer_at(row, ParameterEntry.OFFSET) + (first + run) * width + column
        g = gradient + run * ld * size
        if penalty >= 0:
            theta = entry(m, Entry.THETA) + place * size
            share = double_at(m.call, Entry.SHARE)
            l1, two_l2 = share * constant(m, penalty), share * (2.0 * constant(m, penalty + 1))
            penalty_backward(m.dtype, g, g, theta, length, real(m.dtype, l1), real(m.dtype, two_l2))
        if s != 0:
            update_range(m, place, length, ahead, g, 1.0, decay_of(row, s), s)
    lap(m, Phase.UPDATE if s != 0 else Phase.BACKWARD)


@device
def from_theta(m, slot):
    """The bytes from theta to a slot, or 0 where there is none."""
    return slot - entry(m, Entry.THETA) if slot != 0 else 0


@device
def block_columns(m, batch_rows):
    """The columns of a W of which the buffer holds all rows of dZ packed, or 0."""
    return packed_columns((batch_rows + K_CHUNK - 1) // K_CHUNK, itemsize(m.dtype))


@device
def pack_rows(m, dZ, ldz, column, columns, block, batch_rows):
    """All rows of some columns of dZ in panels, a chunk behind the other."""
    size = itemsize(m.dtype)
    for k in range(0, batch_rows, K_CHUNK):
        depth = min(K_CHUNK, batch_rows - k)
        pack_panels(m.dtype, m.scratch + k * block * size, dZ + (k * ldz + column) * size, ldz, columns, depth)


@device
def packed_gradient(m, gradient, ld, X, ldx, block, rows, columns, batch_rows, prefetch, prefetch_row):
    """The gradient of some rows of a block of columns whose dZ is packed; the first chunk asks for the parameters that
    the optimizer wants, from an address that is not 0."""
    size = itemsize(m.dtype)
    slot_0, slot_1 = from_theta(m, entry(m, Entry.SLOT_0)), from_theta(m, entry(m, Entry.SLOT_1))
    for k in range(0, batch_rows, K_CHUNK):
        depth, panel = min(K_CHUNK, batch_rows - k), 2 * BYTES // size
        flags = PACKED | (ACCUMULATE if k > 0 else 0)
        asks = prefetch if k == 0 else 0
        gemm_rows(
            m.dtype,
            C=gradient,
            ldc=ld,
            A=X + k * ldx * size,
            a_row=1,
            a_k=ldx,
            B=m.scratch + k * block * size,
            ldb=panel,
            panel=panel * depth,
            m=rows,
            n=columns,
            k=depth,
            epilogue=0,
            flags=flags,
            scratch=m.scratch,
            prefetch=asks,
            prefetch_row=prefetch_row,
            slot_0=slot_0,
            slot_1=slot_1,
        )


@device
def kernel_phase(m, row, first, last, begin, end, batch_rows, vector, s):
    """The gradient of rows first..last - 1 of columns begin..end - 1 of a W: X^T dZ, a block at a time, and what
    follows it; without a step it is left in a vector. A large one has dZ packed, once if the buffer holds all of a
    block of columns."""
    offset, size = instruction(m, integer_at(row, ParameterEntry.INSTRUCTION)), itemsize(m.dtype)
    width, inputs = integer_at(row, ParameterEntry.COLUMNS), integer_at(offset, Column.INPUTS)
    whole = integer_at(offset, Column.GRAD_WHOLE)
    ldx, ldz = padded(inputs), padded(whole)
    X = buffer(m, integer_at(offset, Column.SRC), inputs, 0)
    dZ = buffer(m, integer_at(offset, Column.GRAD_DST), whole, 0) + integer_at(offset, Column.GRAD_OFFSET) * size
    packs = packs_columns(m.dtype, ldz, last - first, width, batch_rows) == 1
    packed = block_columns(m, batch_rows) if packs else 0
    block = packed if packed > 0 else BLOCK_BYTES // size
    for column in range(begin, end, block):
        columns = min(block, end - column)
        height = BLOCK_ROWS if packs else GRADIENT_BLOCK // columns // ROW_BLOCK * ROW_BLOCK
        if packed > 0:
            height = GRADIENT_ROWS
            pack_rows(m, dZ, ldz, column, columns, block, batch_rows)
        for start in range(first, last, height):
            rows, x = min(height, last - start), X + start * size
            place = (integer_at(row, ParameterEntry.OFFSET) + start * width + column) * size
            gradient, ld = m.scratch + pack_size(size) * size, columns
            if s == 0:
                gradient, ld = vector + place, width
            if packed > 0:
                prefetch = entry(m, Entry.THETA) + place if s != 0 else 0
                packed_gradient(m, gradient, ld, x, ldx, block, rows, columns, batch_rows, prefetch, width * size)
            else:
                gemm(
                    m.dtype,
                    C=gradient,
                    ldc=ld,
                    A=x,
                    a_row=1,
                    a_k=ldx,
                    B=dZ + column * size,
                    ldb=ldz,
                    m=rows,
                    n=columns,
                    k=batch_rows,
                    epilogue=0,
                    flags=0,
                    scratch=m.scratch,
                )
            finish_block(m, row, start, rows, column, columns, gradient, ld, s)


@device
def trainable_size(m):
    """Elements of all trainable parameters: the length of the line that a team shares."""
    total = 0
    for index in range(entry(m, Entry.PARAMETER_COUNT)):
        row = parameter(m, index)
        if integer_at(row, ParameterEntry.TRAINABLE) == 1:
            total += integer_at(row, ParameterEntry.ROWS) * integer_at(row, ParameterEntry.COLUMNS)
    return total


@device
def cut(place, n, unit):
    """Which of n units of a parameter begins at a place behind its first element, in whole blocks."""
    if place <= 0:
        return 0
    return n if place >= n * unit else min((place // unit + ROW_BLOCK // 2) // ROW_BLOCK * ROW_BLOCK, n)


@device
def is_matrix(row):
    """Whether a parameter is shared by rows: a W, or an embedding's table."""
    role = integer_at(row, ParameterEntry.ROLE)
    return role == Role.KERNEL or role == Role.TABLE


@device
def part_of(m, row, before, total):
    """A member's part of a parameter, [first, last) of the rows of a W or of the elements of a vector; and how many
    elements one is. The trainable parameters lie behind each other, `before` elements before this one, and the line is
    cut into equal parts: a member has few parameters whole rather than some rows of all, so that less of what other
    cores wrote has to come to it."""
    matrix = is_matrix(row)
    n = integer_at(row, ParameterEntry.ROWS if matrix else ParameterEntry.COLUMNS)
    unit = integer_at(row, ParameterEntry.COLUMNS) if matrix else 1
    first, last = total * m.index // m.team - before, total * (m.index + 1) // m.team - before
    return cut(first, n, unit), cut(last, n, unit), unit


@device
def vector_phase(m, index, first, last, batch_rows, vector, s):
    """The gradient of a vector's elements first..last - 1, and what follows it; without a step it is left in a vector
    of all parameters."""
    row = parameter(m, index)
    for start in range(first, last, GRADIENT_BLOCK):
        n = min(GRADIENT_BLOCK, last - start)
        gradient = m.scratch
        if s == 0:
            place = integer_at(row, ParameterEntry.OFFSET) + start
            gradient = vector + place * itemsize(m.dtype)
        vector_gradient(m, index, gradient, start, n, batch_rows)
        finish_block(m, row, 0, 1, start, n, gradient, n, s)


@device
def table_phase(m, row, first, last, batch_rows, vector, s):
    """The gradient of rows first..last - 1 of an embedding's table in a vector, and what follows it."""
    offset, size = instruction(m, integer_at(row, ParameterEntry.INSTRUCTION)), itemsize(m.dtype)
    depth = integer_at(row, ParameterEntry.COLUMNS)
    inputs, whole = integer_at(offset, Column.INPUTS), integer_at(offset, Column.GRAD_WHOLE)
    gradient = vector + (integer_at(row, ParameterEntry.OFFSET) + first * depth) * size
    y = buffer(m, integer_at(offset, Column.SRC), inputs, 0)
    dA = buffer(m, integer_at(offset, Column.GRAD_DST), whole, 0) + integer_at(offset, Column.GRAD_OFFSET) * size
    fill(m.dtype, gradient, (last - first) * depth, real(m.dtype, 0.0))
    lds = padded(inputs), padded(whole)
    embedding_backward(m.dtype, gradient, depth, first, last, y, lds[0], dA, lds[1], batch_rows, inputs, depth)
    finish_block(m, row, first, last - first, 0, depth, gradient, depth, s)


@device
def uses_phase(m, row, first, last, begin, end, batch_rows, s):
    """The gradients of all uses of rows first..last - 1 of columns begin..end - 1 of a W, or of elements of a vector,
    added in order in the gradient vector, and what follows."""
    matrix, size = is_matrix(row), itemsize(m.dtype)
    width, top, rows, start, columns = integer_at(row, ParameterEntry.COLUMNS), first, last - first, begin, end - begin
    if not matrix:
        top, rows, start, columns = 0, 1, first, last - first
    place = (integer_at(row, ParameterEntry.OFFSET) + top * width + start) * size
    total, other = entry(m, Entry.GRADIENT) + place, entry(m, Entry.ADDEND) + place
    use = integer_at(row, ParameterEntry.NEXT)
    vector, added = entry(m, Entry.GRADIENT), False
    while use >= 0:
        if integer_at(row, ParameterEntry.ROLE) == Role.TABLE:
            table_phase(m, parameter(m, use), first, last, batch_rows, vector, 0)
        elif matrix:
            kernel_phase(m, parameter(m, use), first, last, begin, end, batch_rows, vector, 0)
        else:
            vector_phase(m, use, first, last, batch_rows, vector, 0)
        if added:
            for run in range(rows):
                offset = run * width * size
                binary(m.dtype, ADD, total + offset, total + offset, other + offset, columns)
        vector, added = entry(m, Entry.ADDEND), True
        use = integer_at(parameter(m, use), ParameterEntry.NEXT)
    finish_block(m, row, top, rows, start, columns, total, width, s)


@device
def part_phase(m, index, first, last, begin, end, batch_rows, s):
    """A part of a parameter's gradient, and what follows it: rows first..last - 1 of columns begin..end - 1 of a W, or
    elements first..last - 1 of a vector."""
    row, vector = parameter(m, index), entry(m, Entry.GRADIENT)
    if integer_at(row, ParameterEntry.NEXT) >= 0:
        uses_phase(m, row, first, last, begin, end, batch_rows, s)
    elif integer_at(row, ParameterEntry.ROLE) == Role.KERNEL:
        kernel_phase(m, row, first, last, begin, end, batch_rows, vector, s)
    elif integer_at(row, ParameterEntry.ROLE) == Role.TABLE:
        table_phase(m, row, first, last, batch_rows, vector, s)
    else:
        vector_phase(m, index, first, last, batch_rows, vector, s)


@device
def piece_rows(rows, columns, left, team):
    """Rows of the next piece of a W's columns, where so many elements of the line are left: half of a member's part of
    them, so that the pieces get smaller and all threads end together; equal ones for all rows of the columns."""
    most = max(left // (2 * team * columns), BLOCK_ROWS)
    pieces = (rows + most - 1) // most
    return ((rows + pieces - 1) // pieces + GRADIENT_ROWS - 1) // GRADIENT_ROWS * GRADIENT_ROWS


@device
def phase_by_pieces(m, left, batch_rows, s):
    """The parameter phase where threads take pieces of the line in turn, each of which packs its own columns of dZ."""
    packed, piece, following = block_columns(m, batch_rows), 0, next_piece(m.sync)
    width = packed if packed > 0 else BLOCK_BYTES // itemsize(m.dtype)
    for index in range(entry(m, Entry.PARAMETER_COUNT)):
        row = parameter(m, index)
        if integer_at(row, ParameterEntry.TRAINABLE) == 0:
            continue
        rows, all_columns = integer_at(row, ParameterEntry.ROWS), integer_at(row, ParameterEntry.COLUMNS)
        if integer_at(row, ParameterEntry.ROLE) != Role.KERNEL:
            if piece == following:
                end = rows if is_matrix(row) else all_columns
                part_phase(m, index, 0, end, 0, all_columns, batch_rows, s)
                following = next_piece(m.sync)
            piece += 1
            left -= rows * all_columns
            continue
        for column in range(0, all_columns, width):
            columns = min(width, all_columns - column)
            height = piece_rows(rows, columns, left, m.team)
            for start in range(0, rows, height):
                if piece == following:
                    last = min(start + height, rows)
                    part_phase(m, index, start, last, column, column + columns, batch_rows, s)
                    following = next_piece(m.sync)
                piece += 1
            left -= rows * columns


@device
def parameter_phase(m, batch_rows, s):
    """A member's share of every gradient; with a step s the optimizer follows at once, else it is left in the gradient
    vector."""
    before, total = 0, trainable_size(m)
    if m.team > 1 and total >= PIECES_FROM:
        phase_by_pieces(m, total, batch_rows, s)
        return
    for index in range(entry(m, Entry.PARAMETER_COUNT)):
        row = parameter(m, index)
        if integer_at(row, ParameterEntry.TRAINABLE) == 0:
            continue
        first, last, _ = part_of(m, row, before, total)
        before += integer_at(row, ParameterEntry.ROWS) * integer_at(row, ParameterEntry.COLUMNS)
        if first < last:
            part_phase(m, index, first, last, 0, integer_at(row, ParameterEntry.COLUMNS), batch_rows, s)


@device
def update_phase(m, s):
    """The optimizer from the gradient vector, which is clipped first."""
    if clips_norms(m):
        add_squares(m)
        barrier(m.sync, m.team)
    before, total = 0, trainable_size(m)
    for index in range(entry(m, Entry.PARAMETER_COUNT)):
        row = parameter(m, index)
        if integer_at(row, ParameterEntry.TRAINABLE) == 0:
            continue
        factor = norm_factor(m, index) if clips_norms(m) else 1.0
        first, last, unit = part_of(m, row, before, total)
        before += integer_at(row, ParameterEntry.ROWS) * integer_at(row, ParameterEntry.COLUMNS)
        place, n = integer_at(row, ParameterEntry.OFFSET) + first * unit, (last - first) * unit
        gradient = entry(m, Entry.GRADIENT) + place * itemsize(m.dtype)
        update_range(m, place, n, STEP_PREFETCH_BYTES, gradient, factor, decay_of(row, s), s)
