"""Which device trains, and the settings of the whole process."""

from __future__ import annotations

import ctypes
import logging
import os
import platform
import sys
from pathlib import Path

import torch

from ml_core.errors import UserError
from ml_core.training.settings import TrainingSettings
from ml_core.usage import peak_memory_gb

log = logging.getLogger("ml_core.training")

CUDA_OPTIONS = "PYTORCH_CUDA_ALLOC_CONF"
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h
CLEAR_PEAK = Path("/proc/self/clear_refs")  # "5" resets the highest memory, see proc(5)
CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")


def choose_device(requested: str) -> tuple[torch.device, str]:
    """The device and why: CUDA, then MPS, then CPU for `auto`; otherwise the one that is requested.

    An accelerator is tried with one small product. `auto` passes over one that fails; a requested one raises UserError.
    """
    if requested == "cpu":
        return torch.device("cpu"), "cpu was requested"
    passed_over = []
    for name in ("cuda", "mps") if requested == "auto" else (requested,):
        problem = _problem(name)
        if problem is None:
            return torch.device(
                name
            ), f"{name} was requested" if requested == name else f"{name} is the first that works"
        passed_over.append(f"{name} {problem}")
    if requested != "auto":
        raise UserError(f"device is '{requested}', but {passed_over[0]}; use device: auto to take the best that works.")
    return torch.device("cpu"), "; ".join(passed_over)


def prepare_process(settings: TrainingSettings) -> None:
    """Threads, determinism and allocators: what holds for the whole process, set in this one place and logged."""
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    torch.use_deterministic_algorithms(settings.deterministic)
    torch.backends.cudnn.benchmark = not settings.deterministic
    log.info("%d threads, deterministic kernels only: %s", torch.get_num_threads(), settings.deterministic)
    if settings.expandable_segments:
        _let_segments_grow()
    if settings.allocator == "keep":
        _keep_freed_memory()


def memory_gb(device: torch.device) -> float:
    """Highest memory so far: of PyTorch on an accelerator, of the whole process on a CPU [GB]."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    if device.type == "mps":
        return torch.mps.driver_allocated_memory() / 1e9
    return peak_memory_gb()


def _let_segments_grow() -> None:
    """CUDA's allocator reads its options once, at its first allocation."""
    option = "expandable_segments:True"
    present = os.environ.get(CUDA_OPTIONS, "")
    if option in present:
        return
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        log.warning("expandable_segments has no effect: this process has used CUDA already; start a new one")
        return
    os.environ[CUDA_OPTIONS] = f"{present},{option}" if present else option
    log.info("CUDA's memory segments may grow (%s=%s)", CUDA_OPTIONS, os.environ[CUDA_OPTIONS])


def _keep_freed_memory() -> None:
    """Have glibc hold freed blocks: by default it gives each large tensor back, and faults it in anew at 2 GB/s."""
    if not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc":
        log.warning("allocator: keep has no effect: it needs Linux with glibc, this is %s", platform.platform())
        return
    mallopt = ctypes.CDLL(None).mallopt
    done = mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    log.info("freed CPU memory is kept for the next tensor: %s", "yes" if done else "glibc refused")


def reset_peak_memory(device: torch.device) -> None:
    """Let `memory_gb` begin anew. On a CPU only Linux can; elsewhere it stays the highest of the whole process."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    elif device.type == "cpu" and CLEAR_PEAK.exists():
        CLEAR_PEAK.write_text("5")


def available_memory_gb(device: torch.device) -> float:
    """Memory of the device [GB]: of the GPU; of the machine, or of the container that this process lives in."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory / 1e9
    if device.type == "mps":
        return torch.mps.recommended_max_memory() / 1e9
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = CONTAINER_LIMIT.read_text().strip() if CONTAINER_LIMIT.exists() else "max"
    return (physical if limit == "max" else min(physical, int(limit))) / 1e9


def _problem(name: str) -> str | None:
    """Why an accelerator cannot be used, or None."""
    backend = torch.cuda if name == "cuda" else torch.backends.mps
    if not backend.is_available():
        return "is not available"
    try:
        torch.ones(2, 2, device=name).matmul(torch.ones(2, 2, device=name)).sum().item()
    except (RuntimeError, AssertionError) as error:
        return f"failed at a first product ({str(error).splitlines()[0]})"
    return None
