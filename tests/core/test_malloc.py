"""Keeping freed memory: the process must not fault a block's pages in again."""

import platform
import subprocess
import sys

import pytest

from seqarena.core import malloc

# In a process of its own, since the choice cannot be undone. 64 MiB is above every threshold of
# the C library's own, and a page is 4 KiB at least.
FAULTS = """
import resource, sys
import torch
from seqarena.core.malloc import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory().name == "kept"
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(16 * 2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(min(faults() for _ in range(10)))  # the heap settles after a few
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the choice needs the GNU C library")
def test_a_second_allocation_of_the_same_size_touches_no_new_page() -> None:
    kept, returned = (
        int(subprocess.check_output([sys.executable, "-c", FAULTS, choice]))
        for choice in ("keep", "leave")
    )
    # huge pages fault 2 MiB at a time: 32 of them at the least
    assert kept < 8
    assert returned >= 32


def test_another_c_library_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    choice = malloc.keep_freed_memory()
    assert choice.name == "returned"
    assert "GNU C library" in choice.reason
