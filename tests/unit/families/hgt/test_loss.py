"""The link loss against cross entropy written out, and its gradients against autograd's."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ml_core.families.hgt.loss import link_loss
from ml_core.families.hgt.ranking import ranks
from tests.unit.families.hgt.test_samples import prepared


def written_out(z, decoder, links, scale):
    total = 0.0
    for each in links:
        for question in (each.tails, each.heads):
            mask = torch.zeros(len(question.asking), len(question.other), dtype=torch.bool)
            mask[question.hit[0], question.hit[1]] = True
            for row, answer in zip(question.row.tolist(), question.answer.tolist(), strict=True):
                query = z[question.asking[row]] * decoder[each.relation]
                others = question.other[~mask[row]]
                logits = torch.cat([(query @ z[answer])[None], z[others] @ query]) * scale
                total = total + 0.5 * each.weight * F.cross_entropy(logits[None], torch.zeros(1, dtype=torch.long))
    return total


@pytest.mark.parametrize("chunk", [1, 5, 1000])
def test_loss_and_gradients_equal_cross_entropy_written_out(chunk):
    samples = prepared().train
    (piece,) = samples.fetch(np.arange(4), seed=0, epoch=0)
    torch.manual_seed(0)
    z = torch.randn(samples.graph.node_count, 8, requires_grad=True)
    decoder = torch.randn(len(samples.graph.relations), 8, requires_grad=True)
    found = []
    for loss in (link_loss(z, decoder, piece.links, scale=0.4, chunk=chunk), written_out(z, decoder, piece.links, 0.4)):
        found.append([loss.detach(), *torch.autograd.grad(3 * loss, (z, decoder))])
    for ours, expected in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


def test_ranks_are_filtered_and_halve_ties():
    validation = prepared().validation
    (piece,) = validation.fetch(np.arange(len(validation)), seed=0, epoch=0)
    z = torch.randn(validation.graph.node_count, 8, generator=torch.Generator().manual_seed(0)).round()
    weight = torch.ones(len(validation.graph.relations), 8)
    for links in piece.links:
        found = ranks(z, weight, links, chunk=3)
        question = links.tails
        hits = set(zip(*question.hit.tolist(), strict=True))
        for at, (row, answer) in enumerate(zip(question.row.tolist(), question.answer.tolist(), strict=True)):
            own = float(z[question.asking[row]] @ z[answer])
            others = [
                float(z[question.asking[row]] @ z[other])
                for number, other in enumerate(question.other.tolist())
                if (row, number) not in hits
            ]
            better, level = sum(s > own for s in others), sum(s == own for s in others)
            assert found[at, 0] == 1 + better + level / 2


def test_an_answer_is_never_its_own_competitor():
    validation = prepared().validation
    (piece,) = validation.fetch(np.arange(len(validation)), seed=0, epoch=0)
    for links in piece.links:
        for question in (links.tails, links.heads):
            hits = set(zip(*question.hit.tolist(), strict=True))
            places = {node: at for at, node in enumerate(question.other.tolist())}
            for row, answer in zip(question.row.tolist(), question.answer.tolist(), strict=True):
                assert (row, places[answer]) in hits
