"""What a process has used so far, as Linux counts it."""

from __future__ import annotations

import os
import time
from pathlib import Path

_PROC = Path("/proc")


def cpu_seconds(pid: int) -> float:
    """Time on a core, of all threads, to the nanosecond. Raises OSError if there is no process."""
    # The clock of another process, as `clock_getcpuclockid` numbers it.
    return time.clock_gettime(~pid << 3 | 2)


def resident_bytes(pid: int) -> int:
    """Memory that is not swapped out."""
    pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
