"""When memory runs out: recognise it on every device, make room, and say what this run can do about it."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ml_core.training.settings import TrainingSettings

SIGNS = (
    "out of memory",  # CUDA, HIP and MPS, in many wordings
    "CUBLAS_STATUS_ALLOC_FAILED",
    "can't allocate memory",  # PyTorch's CPU allocator on Linux and macOS
    "DefaultCPUAllocator: not enough memory",  # ... and on Windows
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, of an accelerator or of the machine."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)


def shortage_in(work: Callable[[], None]) -> Exception | None:
    """Do the work; returns the error if memory ran out.

    It comes without its traceback: the frames in there hold the very tensors that are to be freed.
    """
    try:
        work()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return error.with_traceback(None)
    return None


def empty_cache(device: torch.device) -> None:
    """Give what PyTorch holds unused back to the device. A CPU's allocator holds nothing of its own."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def advice(
    error: BaseException,
    settings: TrainingSettings,
    *,
    where: str,
    samples: int,
    device: torch.device,
    precision: str,
    can_recompute: bool,
) -> str:
    """One sentence: where memory ran out, and those of this run's settings that would save some and are not on yet.

    `samples` is the size of a forward pass when it happened. Settings that leave the result as it is come first: with
    them the same run goes on from its last checkpoint.
    """
    going_on, anew = [], []
    smaller = smaller_batch(settings) if samples > 1 else None
    if can_recompute and not settings.gradient_checkpointing:
        going_on.append("gradient_checkpointing: true")
    if settings.on_oom == "stop" and samples > 1:
        going_on.append("on_oom: split")
    if device.type == "cuda" and not settings.expandable_segments:
        going_on.append("expandable_segments: true")
    if smaller is not None:
        size, pieces = smaller
        anew.append(
            f"batch_size: {size} and accumulate_batches: {pieces} (now {settings.batch_size} and "
            f"{settings.accumulate_batches}; an optimizer step still sees {settings.window_size} samples)"
        )
    if precision == "fp32":
        anew.append("precision: bf16")
    ways = []
    if going_on:
        ways.append(f"go on with this run with {' or '.join(going_on)}")
    if anew:
        ways.append(f"begin a new run with {' or '.join(anew)}")
    if not ways:
        ways.append("take a smaller model, smaller samples or a device with more memory")
    return f"{where}: out of memory on {device} with {samples} samples per forward pass ({first_line(error)}); " + (
        f"{', or '.join(ways)}."
    )


def smaller_batch(settings: TrainingSettings) -> tuple[int, int] | None:
    """The largest batch_size up to half of this run's, and accumulate_batches, that keep the optimizer step's samples.

    None if a forward pass has one sample already.
    """
    window = settings.window_size
    sizes = [size for size in range(1, settings.batch_size // 2 + 1) if window % size == 0]
    return (sizes[-1], window // sizes[-1]) if sizes else None
