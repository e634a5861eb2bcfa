"""One training step (forward and backward) of the encoder beside `torch.nn.TransformerEncoder` with the same weights.

The sizes of profile full, batch 32, the same dropout on both sides, freed memory kept on both. The limit is what plain
matrix products of the feed-forward network's shape reach in the same run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from ml_core.bench.case import Reach, Request, Row, Side
from ml_core.bench.limits import fastest
from ml_core.bench.turns import Contender, Timed, cheaper, take_turns
from ml_core.families.tissuebert.encoder import Encoder
from ml_core.families.tissuebert.parity import as_stock
from ml_core.families.tissuebert.tokens import WINDOW_BP
from ml_core.training.device import prepare_process
from ml_core.training.settings import TrainingSettings

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
PASSES = 3  # forward, and backward for inputs and for weights
DROPOUT, HEADS = 0.1, 8
FULL, QUICK = (32, 512, 6), (2, 64, 2)  # batch, width, layers
OURS, STOCK = "ml_core", "nn.TransformerEncoder"
AGREEMENT = 1e-5  # of a sum over 512 channels, as LayerNorm leaves it
SHARE = 0.55


def rows(request: Request) -> list[Row]:
    batch, dim, layers = QUICK if request.quick else FULL
    found: list[Row] = []
    work, timed = step_gflop(batch, dim=dim, layers=layers), dict[str, Timed]()
    for precision in PRECISIONS:
        timed[precision], stock = take_turns(
            [
                Contender(f"{name} {precision}", step_of, (name, precision, batch, dim, layers))
                for name in (OURS, STOCK)
            ],
            rounds=request.rounds,
        )
        note = ""
        if precision == "fp32":
            apart = float(np.abs(timed[precision].answers[0] - stock.answers[0]).max())
            assert apart < AGREEMENT, f"outputs differ by {apart:.1e}"
            note = f"outputs within {apart:.0e}; {work:,.0f} GFLOP of matrix products"
        what = f"step of {layers} layers, width {dim}, {batch} windows of {WINDOW_BP} bp, {precision}"
        found.append(cheaper(what, timed[precision], stock, least=1.8 if precision == "fp32" else None, note=note))
    found.append(cheaper("ours in bf16 beside ours in fp32", timed["bf16"], timed["fp32"], least=3))
    for precision, dtype in PRECISIONS.items():
        reached = work / timed[precision].cpu_seconds
        limit = limit_gflops(dtype, batch=batch, dim=dim)
        what = f"share of the matrix products' limit, {precision}"
        ours = Side(f"{OURS} {precision}", reached, "GFLOP/s")
        reach = Reach(least=SHARE) if precision == "bf16" else None
        found.append(Row(what, ours, Side("torch.mm", limit, "GFLOP/s"), ratio=reached / limit, reach=reach))
    return found


def step_of(name: str, precision: str, batch: int, dim: int, layers: int) -> Callable[[], np.ndarray]:
    """The step of one side; its answer is the output without dropout, of a few windows."""
    prepare_process(TrainingSettings(threads=1, allocator="keep"))
    torch.manual_seed(0)
    ours = Encoder(dim, layers=layers, heads=HEADS, feed_dim=4 * dim, dropout=DROPOUT)
    x = torch.randn(batch, WINDOW_BP, dim)
    module = ours if name == OURS else as_stock(ours, dropout=DROPOUT)
    expected = module.eval()(x[:2]).detach().numpy()  # with gradients: without them PyTorch takes another way
    dtype = PRECISIONS[precision]

    def run() -> np.ndarray:
        step(module, x, dtype)
        return expected

    return run


def step(module: nn.Module, x: Tensor, dtype: torch.dtype) -> None:
    """Forward and backward in training mode."""
    module.train().zero_grad(set_to_none=True)
    mixed = torch.autocast("cpu", dtype=dtype) if dtype != torch.float32 else contextlib.nullcontext()
    with mixed:
        y = module(x)
    y.float().mean(1).square().sum().backward()


def step_gflop(batch: int, *, dim: int, layers: int) -> float:
    """Of the matrix products of a step: 12 dim^2 weights of a layer at each place, and its attention."""
    places = batch * WINDOW_BP
    return PASSES * layers * 2 * places * (12 * dim * dim + 2 * WINDOW_BP * dim) / 1e9


def limit_gflops(dtype: torch.dtype, *, batch: int, dim: int) -> float:
    """Of [places, dim] @ [dim, 4 dim], the best of several."""
    a = torch.randn(batch * WINDOW_BP, dim).to(dtype)
    b = torch.randn(dim, 4 * dim).to(dtype)
    return 2 * a.shape[0] * dim * 4 * dim / 1e9 / fastest(lambda: torch.mm(a, b), rounds=9)
