"""One training step (forward and backward) of the encoder beside `torch.nn.TransformerEncoder` with the same weights.

    python -m ml_core.families.tissuebert.bench.encoder            the sizes of profile full
    python -m ml_core.families.tissuebert.bench.encoder --threads 2 --rounds 9

Both sides take turns in one process, with the same dropout, allocator and matrix products. CPU seconds are medians;
the limit is what plain matrix products of the feed-forward network's shape reach in the same run.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ml_core.families.tissuebert.encoder import Encoder
from ml_core.families.tissuebert.parity import as_stock
from ml_core.families.tissuebert.tokens import WINDOW_BP
from ml_core.training.device import prepare_process
from ml_core.training.settings import TrainingSettings

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
PASSES = 3  # forward, and backward for inputs and for weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--allocator", choices=("system", "keep"), default="keep")
    options = parser.parse_args()
    prepare_process(TrainingSettings(threads=options.threads, allocator=options.allocator))
    torch.manual_seed(0)
    ours = Encoder(
        options.dim,
        layers=options.layers,
        heads=options.heads,
        feed_dim=4 * options.dim,
        dropout=options.dropout,
    )
    stock = as_stock(ours, dropout=options.dropout)
    x = torch.randn(options.batch, WINDOW_BP, options.dim)
    work = step_gflop(options.batch, dim=options.dim, layers=options.layers)
    print(f"torch {torch.__version__}, {options.threads} thread, batch {options.batch}, {work:.0f} GFLOP a step")
    print(f"largest difference of outputs in fp32 {difference(ours, stock, x):.1e}")
    limits = {name: limit_gflops(dtype, batch=options.batch, dim=options.dim) for name, dtype in PRECISIONS.items()}
    seconds: dict[tuple[str, str], list[float]] = {}
    for number in range(options.rounds + 1):
        for precision, dtype in PRECISIONS.items():
            for side, module in (("ours", ours), ("stock", stock)):
                taken = cpu_seconds(lambda module=module, dtype=dtype: step(module, x, dtype))  # type: ignore[misc]
                if number:  # the first round warms up
                    seconds.setdefault((precision, side), []).append(taken)
    middle = {key: statistics.median(values) for key, values in seconds.items()}
    print(f"{'precision':10}{'ours CPU-s':>12}{'stock':>8}{'ratio':>7}{'GFLOP/s':>9}{'limit':>7}{'share':>7}")
    for precision, limit in limits.items():
        mine, theirs = middle[precision, "ours"], middle[precision, "stock"]
        reached = work / mine
        seen = f"{precision:10}{mine:12.2f}{theirs:8.2f}{theirs / mine:7.2f}"
        print(f"{seen}{reached:9.0f}{limit:7.0f}{reached / limit:7.0%}")
    print(f"ours in bf16 beside ours in fp32 {middle['fp32', 'ours'] / middle['bf16', 'ours']:.1f}x")
    print(f"ours in bf16 beside stock in fp32 {middle['fp32', 'stock'] / middle['bf16', 'ours']:.1f}x")


def step(module: nn.Module, x: Tensor, dtype: torch.dtype) -> None:
    """Forward and backward in training mode."""
    module.train().zero_grad(set_to_none=True)
    mixed = torch.autocast("cpu", dtype=dtype) if dtype != torch.float32 else contextlib.nullcontext()
    with mixed:
        y = module(x)
    y.float().mean(1).square().sum().backward()


def difference(ours: nn.Module, stock: nn.Module, x: Tensor) -> float:
    """Largest one of the outputs, without dropout but with gradients: without them PyTorch takes another way."""
    ours.eval()
    stock.eval()
    return float((ours(x) - stock(x)).detach().abs().max())


def step_gflop(batch: int, *, dim: int, layers: int) -> float:
    """Of the matrix products of a step: 12 dim^2 weights of a layer at each place, and its attention."""
    places = batch * WINDOW_BP
    return PASSES * layers * 2 * places * (12 * dim * dim + 2 * WINDOW_BP * dim) / 1e9


def limit_gflops(dtype: torch.dtype, *, batch: int, dim: int) -> float:
    """Of [places, dim] @ [dim, 4 dim], the best of five."""
    a = torch.randn(batch * WINDOW_BP, dim).to(dtype)
    b = torch.randn(dim, 4 * dim).to(dtype)
    work = 2 * a.shape[0] * dim * 4 * dim / 1e9
    return max(work / cpu_seconds(lambda: torch.mm(a, b)) for _ in range(5))


def cpu_seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    main()
