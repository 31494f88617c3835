"""Products of a few rows with a matrix that many steps share, for the recurrent cells.

A library's product of 8 x 128 by 128 x 384 numbers takes longer to call than to compute. Here the
matrix is laid out once in panels of as many columns as two vector registers hold, and a tile of
rows by one panel stays in registers while it is summed. Rows are summed one after another over the
inner axis: what is summed does not depend on how many rows there are.

    w   [panels, inner, PANEL columns], zeros behind the last column
"""

import functools
import itertools

from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

_WIDE = bool(binding.get_host_cpu_features().get("avx512f"))
VECTOR_BYTES = 64 if _WIDE else 32
PANEL_BYTES = 2 * VECTOR_BYTES
ROWS = 8 if _WIDE else 4  # of a tile: with its two columns they fill the registers


def _tile(rows):
    """c[r, :] = a[r, :] @ w for `rows` rows and one panel; the arguments are flat arrays, where
    each begins, and the strides of rows."""

    @intrinsic
    def tile(typing_context, a, a_at, a_stride, inner, w, w_at, c, c_at, c_stride):
        n = types.intp
        return types.void(a, n, n, n, w, n, c, n, n), functools.partial(_write_tile, rows)

    return tile


def _write_tile(rows, context, builder, signature, arguments):
    """The tile as LLVM takes it: a loop over the inner axis around two vectors a row."""
    kind = signature.args[0].dtype
    lanes = VECTOR_BYTES * 8 // kind.bitwidth
    vector = ir.VectorType(context.get_value_type(kind), lanes)
    _, a_at, a_stride, inner, _, w_at, _, c_at, c_stride = arguments

    def place(array, at, *offsets):
        """Where the number `at` + stride * row + ... of an array lies."""
        for number, stride in offsets:
            at = builder.add(at, builder.mul(number, stride))
        make = context.make_array(signature.args[array])
        return builder.gep(make(context, builder, arguments[array]).data, [at])

    def constant(number):
        return ir.Constant(inner.type, number)

    def as_vector(pointer):
        return builder.bitcast(pointer, vector.as_pointer())

    def in_every_lane(number):
        first = builder.insert_element(
            ir.Constant(vector, ir.Undefined), number, ir.Constant(ir.IntType(32), 0)
        )
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
        return builder.shuffle_vector(first, first, zeros)

    align, halves = kind.bitwidth // 8, (constant(0), constant(1))
    sums = [[cgutils.alloca_once(builder, vector) for _ in halves] for _ in range(rows)]
    for each in itertools.chain(*sums):
        builder.store(ir.Constant(vector, [0.0] * lanes), each)
    fma = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.v{lanes}f{kind.bitwidth}"
    )
    with cgutils.for_range(builder, inner) as loop:
        w_now = builder.add(w_at, builder.mul(loop.index, constant(2 * lanes)))
        columns = [
            builder.load(as_vector(place(4, w_now, (half, constant(lanes)))), align=align)
            for half in halves
        ]
        for row in range(rows):
            number = place(0, builder.add(a_at, loop.index), (constant(row), a_stride))
            spread = in_every_lane(builder.load(number))
            for column, each in zip(columns, sums[row]):
                builder.store(builder.call(fma, [spread, column, builder.load(each)]), each)
    for row in range(rows):
        for half, each in zip(halves, sums[row]):
            to = place(6, c_at, (constant(row), c_stride), (half, constant(lanes)))
            builder.store(builder.load(each), as_vector(to), align=align)
    return context.get_dummy_value()


_tile_of_all, _tile_of_2, _tile_of_1 = _tile(ROWS), _tile(2), _tile(1)


@njit
def panels(columns, itemsize):
    """How many panels so many columns fill."""
    return (columns * itemsize + PANEL_BYTES - 1) // PANEL_BYTES


@njit
def padded(columns, itemsize):
    """How many numbers a row of so many columns takes, with whole panels."""
    return panels(columns, itemsize) * PANEL_BYTES // itemsize


@njit
def lay_out(weight, columns, w):
    """Writes the rows of `weight` [inner, columns] into panels `w`, which is all zeros."""
    inner, panel = weight.size // columns, PANEL_BYTES // w.itemsize
    for p in range(panels(columns, w.itemsize)):
        lo = p * panel
        count = min(panel, columns - lo)
        for k in range(inner):
            at = (p * inner + k) * panel
            w[at : at + count] = weight[k * columns + lo : k * columns + lo + count]


@njit
def multiply(a, a_at, a_stride, rows, inner, w, w_at, columns, c, c_at, c_stride):
    """c[r, :columns] = a[r, :inner] @ w for all rows. Rows of c have room for whole panels."""
    panel = PANEL_BYTES // w.itemsize
    for p in range(panels(columns, w.itemsize)):
        w_now, c_now, row = w_at + p * inner * panel, c_at + p * panel, 0
        while row + ROWS <= rows:
            _tile_of_all(  # pyright: ignore[reportCallIssue]
                a, a_at + row * a_stride, a_stride, inner, w, w_now,
                c, c_now + row * c_stride, c_stride,
            )  # fmt: skip
            row += ROWS
        while row + 2 <= rows:
            _tile_of_2(  # pyright: ignore[reportCallIssue]
                a, a_at + row * a_stride, a_stride, inner, w, w_now,
                c, c_now + row * c_stride, c_stride,
            )  # fmt: skip
            row += 2
        if row < rows:
            _tile_of_1(  # pyright: ignore[reportCallIssue]
                a, a_at + row * a_stride, a_stride, inner, w, w_now,
                c, c_now + row * c_stride, c_stride,
            )  # fmt: skip
