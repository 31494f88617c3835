"""Products of a few rows with a matrix that many steps share, for the recurrent cells.

A library's product of 8 x 128 by 128 x 384 numbers takes longer to call than to compute. Here the
matrix is laid out once in panels of as many columns as two vector registers hold, and a tile of
rows by one panel stays in registers while it is summed. Rows are summed one after another over the
inner axis: what is summed does not depend on how many rows there are.

    w   [panels, inner, PANEL columns], zeros behind the last column
"""

from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

_WIDE = bool(binding.get_host_cpu_features().get("avx512f"))
VECTOR_BYTES = 64 if _WIDE else 32
PANEL_BYTES = 2 * VECTOR_BYTES
ROWS = 8 if _WIDE else 4  # of a tile: with its two columns they fill the registers


def _tile(rows):
    """c[r, :] = a[r, :] @ w for `rows` rows and one panel; the arguments are flat arrays, where each
    begins, and the strides of rows."""

    def generate(context, builder, signature, arguments):
        kind = signature.args[0].dtype
        number = context.get_value_type(kind)
        lanes = VECTOR_BYTES // _bytes(kind)
        vector, index = ir.VectorType(number, lanes), ir.IntType(32)

        def place(array, at):
            data = context.make_array(signature.args[array])(context, builder, arguments[array]).data
            return builder.gep(data, [at])

        def load(place):
            return builder.load(builder.bitcast(place, vector.as_pointer()), align=_bytes(kind))

        a, a_at, a_stride, inner, w, w_at, c, c_at, c_stride = arguments
        zero = ir.Constant(vector, [0.0] * lanes)
        sums = [cgutils.alloca_once_value(builder, zero) for _ in range(2 * rows)]
        for each in sums:  # a tile may run in a loop of its function
            builder.store(zero, each)
        panel = ir.Constant(inner.type, 2 * lanes)
        fma = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(vector, [vector] * 3),
            f"llvm.fma.v{lanes}f{kind.bitwidth}",
        )
        with cgutils.for_range(builder, inner) as loop:
            w_now = builder.add(w_at, builder.mul(loop.index, panel))
            columns = [
                load(place(4, builder.add(w_now, ir.Constant(inner.type, half * lanes))))
                for half in range(2)
            ]
            for row in range(rows):
                at = builder.add(a_at, builder.mul(a_stride, ir.Constant(inner.type, row)))
                value = builder.load(place(0, builder.add(at, loop.index)))
                spread = builder.insert_element(
                    ir.Constant(vector, ir.Undefined), value, ir.Constant(index, 0)
                )
                spread = builder.shuffle_vector(
                    spread,
                    ir.Constant(vector, ir.Undefined),
                    ir.Constant(ir.VectorType(index, lanes), [0] * lanes),
                )
                for half in range(2):
                    each = sums[2 * row + half]
                    summed = builder.call(fma, [spread, columns[half], builder.load(each)])
                    builder.store(summed, each)
        for row in range(rows):
            at = builder.add(c_at, builder.mul(c_stride, ir.Constant(inner.type, row)))
            for half in range(2):
                to = place(6, builder.add(at, ir.Constant(inner.type, half * lanes)))
                to = builder.bitcast(to, vector.as_pointer())
                builder.store(builder.load(sums[2 * row + half]), to, align=_bytes(kind))
        return context.get_dummy_value()

    @intrinsic
    def tile(typing_context, a, a_at, a_stride, inner, w, w_at, c, c_at, c_stride):
        n = types.intp
        return types.void(a, n, n, n, w, n, c, n, n), generate

    return tile


def _bytes(kind):
    return kind.bitwidth // 8


_tile_of_all, _tile_of_2, _tile_of_1 = _tile(ROWS), _tile(2), _tile(1)


@njit
def panels(columns, itemsize):
    """How many panels so many columns fill."""
    return (columns * itemsize + PANEL_BYTES - 1) // PANEL_BYTES


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
            _tile_of_all(
                a, a_at + row * a_stride, a_stride, inner, w, w_now,
                c, c_now + row * c_stride, c_stride,
            )  # fmt: skip
            row += ROWS
        while row + 2 <= rows:
            _tile_of_2(
                a, a_at + row * a_stride, a_stride, inner, w, w_now,
                c, c_now + row * c_stride, c_stride,
            )  # fmt: skip
            row += 2
        if row < rows:
            _tile_of_1(
                a, a_at + row * a_stride, a_stride, inner, w, w_now,
                c, c_now + row * c_stride, c_stride,
            )  # fmt: skip
