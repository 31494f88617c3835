"""Kernels that numba compiles for this processor: loops in Python, machine code without a C
compiler. The forms called `compiled` of several operations use them.

Nothing here is imported until the first of them runs: a form imports its kernels inside the
function. A kernel works on flat arrays and the strides of their rows, so that its inner loop has
neighbours in memory and becomes vector instructions; the last axis of a tensor is contiguous
(`arrays.py`). It takes the range of the independent rows to compute, so that threads share them
out (`sharing.py`), and gives the same numbers whatever their number.

Letters: those of the operations; `x_b` and `x_t` are the strides of array x along batch and time.
"""
