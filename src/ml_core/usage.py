"""What a process has used of the machine."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

STATUS, CLEAR_PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def cpu_seconds() -> float:
    """CPU time of this process and of those that it started and that have ended, in s."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def peak_memory_gb() -> float:
    """Peak resident memory of this process so far, in GB (1e9 bytes)."""
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage counts bytes on macOS, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def peak_since_reset_gb() -> float | None:
    """Peak resident memory of this process since `reset_peak`, in GB; None where the system does not tell (macOS)."""
    if not STATUS.exists():
        return None
    line = next(each for each in STATUS.read_text().splitlines() if each.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e9


def reset_peak() -> None:
    """Let the peak begin at what is held now."""
    if CLEAR_PEAK.exists():
        CLEAR_PEAK.write_text("5")  # see proc(5)
