"""Keeping freed memory in the process: training then does not fault its pages in at each step.

The GNU C library hands large freed blocks back to the system at once. A training step that frees
and takes the same activations again then pays a page fault for every 4 KiB of them. Keeping them
trades that time for memory: the process stays as large as its peak, and somewhat above it.
"""

import ctypes
import platform

from seqarena.core.runtime import Choice

# of <malloc.h>
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4


def keep_freed_memory() -> Choice:
    """Tells the C library to keep what is freed; for the whole process, and not to be undone.

    Returns what memory management is from now on, `kept` or `returned`, and why, fit for printing
    and for the record.
    """
    if platform.libc_ver()[0] != "glibc":
        return Choice("returned", "only the GNU C library can be told to keep freed memory")
    mallopt = ctypes.CDLL(None).mallopt
    # no block of its own mapping, and the heap's end is never cut
    if mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, -1):
        return Choice("kept", "in the process: training faults fewer pages in")
    return Choice("returned", "the C library refused to keep freed memory")
