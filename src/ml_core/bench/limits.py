"""What the machine can do at best on one thread, measured in the run whose rows are read beside it."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ml_core.bench.case import Request

LIBRARIES = ("torch", "torch-geometric", "numpy", "scipy", "scikit-learn", "scikit-bio", "shapely", "h5py", "dagster")
PEERS = ("lightning", "pykeen")
PLACES, WIDTH, WIDER = 4800, 512, 2048  # a feed-forward layer of TissueBERT: 32 reads of 150 places
COPIED_BYTES = 2**28
CPUINFO = Path("/proc/cpuinfo")


def measure(request: Request) -> dict[str, Any]:
    """GFLOP/s of matrix products in fp32 and bf16, GB/s of a copy (read and written), processor and versions."""
    import torch

    torch.set_num_threads(1)
    found: dict[str, Any] = {"processor": processor(), "python": sys.version.split()[0], "threads": 1}
    work = 2 * PLACES * WIDTH * WIDER / 1e9
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        a, b = (torch.randn(shape).to(dtype) for shape in ((PLACES, WIDTH), (WIDTH, WIDER)))
        found[f"matmul_{name}_gflops"] = work / fastest(lambda a=a, b=b: torch.mm(a, b), rounds=2 + 2 * request.rounds)  # type: ignore[misc]
    source = torch.ones(COPIED_BYTES // 4)
    target = torch.ones_like(source)
    found["copy_gb_per_second"] = 2 * COPIED_BYTES / 1e9 / fastest(lambda: target.copy_(source), rounds=request.rounds)
    return found | {"versions": {name: installed for name in LIBRARIES + PEERS if (installed := _version(name))}}


def fastest(work: Callable[[], object], *, rounds: int) -> float:
    """CPU seconds of the best of so many calls, after one that warms up."""
    seconds = []
    for _ in range(rounds + 1):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return min(seconds[1:])


def processor() -> str:
    if CPUINFO.exists():
        lines = CPUINFO.read_text().splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
        flags = next((line for line in lines if line.startswith("flags")), "").split()
        kinds = [kind for kind, flag in (("AMX", "amx_bf16"), ("AVX-512", "avx512f")) if flag in flags]
        return f"{name} ({', '.join(kinds)})" if kinds else name
    return platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
