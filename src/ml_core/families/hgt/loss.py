"""Sampled softmax over both sides of target edges, its gradient taken chunk by chunk.

No logits outlive their chunk: the forward pass adds each chunk's gradient to that of the embeddings. Memory does not
grow with the targets, and nothing is computed twice.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ml_core.families.hgt.links import Links, Question

NEVER = -1e30  # the logit of what must not count


def link_loss(z: Tensor, decoder: Tensor, links: list[Links], *, scale: float, chunk: int) -> Tensor:
    """Weighted sum over all targets of the cross entropy of the true node against the others, both sides averaged.

    The logit of (head, tail) is sum(z_head * w_relation * z_tail) * scale (DistMult; w is 1 for a dot product).

    **Shapes**: z [n, f]; decoder [relations, f]. chunk: targets at a time.
    """
    total: Tensor = _LinkLoss.apply(z, decoder, links, scale, chunk)  # type: ignore[no-untyped-call]
    return total


class _LinkLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, decoder: Tensor, links: list[Links], scale: float, chunk: int) -> Tensor:
        wanted = any(ctx.needs_input_grad[:2])
        of_z, of_decoder = (torch.zeros_like(z), torch.zeros_like(decoder)) if wanted else (None, None)
        total = z.new_zeros(())
        for each in links:
            for question in (each.tails, each.heads):
                total += _question(z, decoder, each, question, of_z, of_decoder, scale=scale, chunk=chunk)
        if of_z is not None and of_decoder is not None:
            ctx.save_for_backward(of_z, of_decoder)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        of_z, of_decoder = ctx.saved_tensors
        return of_z * gradients[0], of_decoder * gradients[0], None, None, None


def _question(
    z: Tensor,
    decoder: Tensor,
    links: Links,
    question: Question,
    of_z: Tensor | None,
    of_decoder: Tensor | None,
    *,
    scale: float,
    chunk: int,
) -> Tensor:
    """Summed loss of one side; adds its gradient to `of_z` and `of_decoder` where these are wanted."""
    total = z.new_zeros(())
    if not links.count:
        return total
    others = z.index_select(0, question.other)
    weight = decoder[links.relation]
    known = torch.zeros(len(question.asking), len(question.other), dtype=torch.bool, device=z.device)
    known[question.hit[0], question.hit[1]] = True
    of_others = torch.zeros_like(others)
    share = 0.5 * links.weight
    for first in range(0, links.count, chunk):
        row = question.row[first : first + chunk]
        at, answer = question.asking.index_select(0, row), question.answer[first : first + chunk]
        asking, true = z.index_select(0, at), z.index_select(0, answer)
        query = asking * (weight * scale)  # [k, f]
        right = (query * true).sum(1, keepdim=True)
        wrong = (query @ others.T).masked_fill_(known.index_select(0, row), NEVER)
        both = torch.cat([right, wrong], dim=1)  # [k, 1 + c]
        top = torch.logsumexp(both, dim=1, keepdim=True)
        total += (top - right).sum() * share
        if of_z is None or of_decoder is None:
            continue
        by_logit = both.sub_(top).exp_()  # softmax
        by_logit[:, 0] -= 1
        by_logit *= share
        by_query = torch.addmm(true * by_logit[:, :1], by_logit[:, 1:], others)
        of_others.addmm_(by_logit[:, 1:].T, query)
        of_z.index_add_(0, answer, query * by_logit[:, :1])
        of_z.index_add_(0, at, by_query * (weight * scale))
        of_decoder[links.relation] += (by_query * asking).sum(0) * scale
    if of_z is not None:
        of_z.index_add_(0, question.other, of_others)
    return total
