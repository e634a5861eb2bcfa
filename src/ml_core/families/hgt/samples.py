"""What an epoch predicts and what it may see: targets, negatives and messages, as functions of (seed, epoch)."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass, field

import numpy as np
import torch

from ml_core.families.hgt.contrastive import Contrast, contrast_of, similar_pairs
from ml_core.families.hgt.data import EdgeSplits, KnowledgeGraph
from ml_core.families.hgt.held_out import EACH_BY_ITSELF, edges_of_drawn, losing_nodes
from ml_core.families.hgt.known import Known
from ml_core.families.hgt.links import Links, Question, links_of
from ml_core.families.hgt.messages import MessageGraph, Messages
from ml_core.families.hgt.model_settings import ModelSettings
from ml_core.families.hgt.sampler import NeighbourSampler

# Streams of random numbers that must not meet.
TARGETS, NEGATIVES, HOPS = 1, 2, 3


@dataclass(frozen=True)
class Piece:
    """One encoding and all that is asked of it; graph: None where the vectors are asked alone."""

    graph: MessageGraph | None
    links: list[Links]
    contrasts: list[Contrast] = field(default_factory=list)


Batch = list[Piece]


@dataclass(frozen=True)
class Epoch:
    """What is drawn once for an epoch: each relation's targets in random order, who sends, who is contrasted.

    lost: edges, ascending, that send no message although they may be no target (held_out.py).
    """

    targets: list[np.ndarray]
    lost: np.ndarray
    weights: np.ndarray
    graph: MessageGraph | None
    contrasted: np.ndarray


class TrainingSamples:
    """Slices of an epoch's target edges: slice i has every slices-th edge of each relation, with its own negatives."""

    def __init__(self, graph: KnowledgeGraph, splits: EdgeSplits, settings: ModelSettings) -> None:
        self.graph, self.settings = graph, settings
        self.edges = splits.edges_in("train")
        self.known = Known(graph, self.edges)
        self.messages = Messages(graph, self.edges)
        self.sampler = NeighbourSampler(self.messages) if settings.mode == "neighbours" else None
        first = np.searchsorted(self.edges, graph.relation_offsets)
        self.of_relation = [self.edges[a:b] for a, b in itertools.pairwise(first)]
        self.similar = similar_pairs(
            graph,
            self.edges,
            of=settings.contrastive_type,
            by=settings.contrastive_by,
            threshold=settings.similarity_threshold,
        )
        self.paired = np.unique(self.similar.indices) if settings.contrastive_weight else np.zeros(0, np.int64)
        counts = np.array([len(own) for own in self.of_relation])
        self.by_vectors = counts >= settings.vector_edges
        if settings.vector_epochs and not self.by_vectors.any():
            self.by_vectors = counts > 0
        self.in_large = np.repeat(counts > settings.message_whole, np.diff(graph.relation_offsets))
        self.losing = losing_nodes(graph, splits)
        self.factors = np.array([settings.relation_weights.get(each.name, 1.0) for each in graph.relations])
        self._drawn: tuple[tuple[int, int], Epoch] | None = None

    def __len__(self) -> int:
        return self.settings.slices

    def fetch(self, indices: np.ndarray, *, seed: int, epoch: int) -> Batch:
        drawn = self.epoch(seed=seed, epoch=epoch)
        vectors_alone = epoch < self.settings.vector_epochs
        slices = [self._links(drawn, int(index), seed=seed, epoch=epoch) for index in indices]
        contrasts = [self._contrasts(drawn, int(index)) for index in indices]
        if drawn.graph is not None or vectors_alone:
            return [
                Piece(drawn.graph, [link for each in slices for link in each], [c for each in contrasts for c in each])
            ]
        return [
            self._neighbourhood(links, own, drawn, np.random.default_rng([seed, epoch, HOPS, int(index)]), int(index))
            for links, own, index in zip(slices, contrasts, indices, strict=True)
        ]

    def epoch(self, *, seed: int, epoch: int) -> Epoch:
        """Drawn anew for each epoch, kept until the next is asked for."""
        if self._drawn is None or self._drawn[0] != (seed, epoch):
            vectors_alone = epoch < self.settings.vector_epochs
            rng = np.random.default_rng([seed, epoch, TARGETS])
            self._drawn = (seed, epoch), self._draw(rng, vectors_alone=vectors_alone)
        return self._drawn[1]

    def _draw(self, rng: np.random.Generator, *, vectors_alone: bool) -> Epoch:
        settings = self.settings
        targets, lost = [], np.zeros(0, np.int64)
        if self.losing is not None and not vectors_alone:
            lost = edges_of_drawn(self.losing, self.edges, share=settings.target_share, rng=rng)
        for own, by_vectors in zip(self.of_relation, self.by_vectors, strict=True):
            count = int(np.ceil(settings.target_share * len(own)))
            if not vectors_alone and self.losing is not None and len(own) and self.losing[own[0]] != EACH_BY_ITSELF:
                own = own[np.isin(own, lost, assume_unique=True)]
                count = len(own)
            if settings.mode == "edges":
                count = min(len(own) if vectors_alone else count, settings.edge_sample_size)
            targets.append(rng.permutation(own)[: count if by_vectors or not vectors_alone else 0])
        counts = np.array([len(each) for each in targets], dtype=np.float64)
        raw = np.where(counts > 0, np.maximum(counts, 1) ** -settings.relation_balance, 0.0) * self.factors
        weights = raw * counts.sum() / max(float(raw @ counts), 1e-30)
        if vectors_alone:
            return Epoch(targets, lost, weights, None, np.zeros(0, np.int64))
        batch = np.sort(rng.permutation(self.paired)[: settings.contrastive_batch])
        graph = None
        if settings.mode != "neighbours":
            silent = np.zeros(self.graph.edge_count, bool)
            silent[np.concatenate([*targets, lost])] = True
            if settings.message_share < 1:
                silent |= self.in_large & (rng.random(len(silent)) >= settings.message_share)
            graph = self.messages.without(silent)
        return Epoch(targets, lost, weights, graph, batch)

    def _links(self, drawn: Epoch, index: int, *, seed: int, epoch: int) -> list[Links]:
        rng = np.random.default_rng([seed, epoch, NEGATIVES, index])
        found = []
        for relation, targets in enumerate(drawn.targets):
            edges = targets[index :: len(self)]
            heads, tails = (self._others(relation, side, rng) for side in (0, 1))
            if len(edges):
                weight = float(drawn.weights[relation])
                found.append(links_of(self.known, relation, edges, other_heads=heads, other_tails=tails, weight=weight))
        return found

    def _others(self, relation: int, side: int, rng: np.random.Generator) -> np.ndarray:
        """Distinct nodes of one side's type, as numbers within it."""
        of, settings = self.graph.relations[relation], self.settings
        nodes = self.graph.nodes_of(of.head if side == 0 else of.tail)
        if len(nodes) <= settings.negatives:
            return np.arange(len(nodes))
        by_degree = round(settings.degree_share * settings.negatives)
        chosen = rng.choice(len(nodes), settings.negatives - by_degree, replace=False, shuffle=False)
        own = self.of_relation[relation]
        if by_degree and len(own):
            ends = (self.graph.head, self.graph.tail)[side][own[rng.integers(len(own), size=by_degree)]]
            chosen = np.concatenate([chosen, ends - nodes.start])
        return np.unique(chosen)

    def _contrasts(self, drawn: Epoch, index: int) -> list[Contrast]:
        anchors = np.arange(index, len(drawn.contrasted), len(self))
        if not len(anchors):
            return []
        first = self.graph.nodes_of(self.settings.contrastive_type).start
        made = contrast_of(self.similar, drawn.contrasted, anchors, first=first)
        return [made] if len(made.anchor) else []

    def _neighbourhood(
        self, links: list[Links], contrasts: list[Contrast], drawn: Epoch, rng: np.random.Generator, index: int
    ) -> Piece:
        """The slice with its own message graph, its nodes renumbered."""
        assert self.sampler is not None
        questions = [question for link in links for question in (link.tails, link.heads)]
        parts = [part for q in questions for part in (q.asking, q.answer, q.other)] + [c.batch for c in contrasts]
        seeds = np.unique(torch.cat(parts).numpy()) if parts else np.zeros(0, np.int64)
        hidden = np.unique(np.concatenate([*(targets[index :: len(self)] for targets in drawn.targets), drawn.lost]))
        nodes, edges = self.sampler.sample(seeds, self.settings.neighbours, hidden=hidden, rng=rng)
        graph = self.messages.part(nodes, edges)
        there = torch.from_numpy(nodes)

        def renumbered(question: Question) -> Question:
            local = {name: torch.searchsorted(there, getattr(question, name)) for name in ("asking", "answer", "other")}
            return dataclasses.replace(question, **local)

        links = [dataclasses.replace(e, tails=renumbered(e.tails), heads=renumbered(e.heads)) for e in links]
        contrasts = [dataclasses.replace(c, batch=torch.searchsorted(there, c.batch)) for c in contrasts]
        return Piece(graph, links, contrasts)


class ValidationSamples:
    """Validation edges of each relation, at most so many, against all nodes of the right type; messages: training's.

    Known edges of training and validation do not count as wrong; nothing of the test is looked at.
    """

    def __init__(
        self, graph: KnowledgeGraph, splits: EdgeSplits, settings: ModelSettings, *, messages: Messages
    ) -> None:
        self.graph, self.settings = graph, settings
        edges = splits.edges_in("validation")
        self.known = Known(graph, np.flatnonzero(splits.part != 2))
        self.message_graph = messages.whole()
        rng = np.random.default_rng(settings.seed)
        first = np.searchsorted(edges, graph.relation_offsets)
        self.chosen = [
            np.sort(rng.permutation(edges[a:b])[: settings.validation_edges]) for a, b in itertools.pairwise(first)
        ]

    def __len__(self) -> int:
        """As many as one forward pass takes, so that a validation encodes the graph once."""
        return min(self.settings.batch_size, max(map(len, self.chosen), default=0))

    def fetch(self, indices: np.ndarray, *, seed: int, epoch: int) -> Batch:
        links = []
        for relation, chosen in enumerate(self.chosen):
            edges = np.concatenate([chosen[index :: len(self)] for index in indices])
            if len(edges):
                of = self.graph.relations[relation]
                heads, tails = (np.arange(len(self.graph.nodes_of(each))) for each in (of.head, of.tail))
                links.append(links_of(self.known, relation, edges, other_heads=heads, other_tails=tails))
        return [Piece(self.message_graph, links)]
