"""Kernels for a GPU, in Triton. Only the first call of a form imports one: Triton takes half a
second. `TRITON_INTERPRET=1`, set before, runs them on the CPU, number by number."""
