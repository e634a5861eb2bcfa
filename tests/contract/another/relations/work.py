"""Knowledge-graph embeddings: a batch of PyTorch Geometric's that holds nothing but ids, and one module for it all."""

from __future__ import annotations

import json
import shutil

import numpy as np
import torch
from matplotlib.figure import Figure as Drawing
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import HeteroData

from ml_core.report import Figure, Report, Section, write_report
from ml_core.running import StageRun
from ml_core.summary import Summary
from ml_core.training.checkpoint import WEIGHTS
from ml_core.training.task import Task, Training
from ml_core.training.trainer import fit

RELATIONS = 3
UNNAMED = 2  # an edge whose relation is not to be guessed


def simulate(run: StageRun) -> Summary:
    """Edges between nodes of one of three kinds, int64 [edges, 3]: head, relation, tail."""
    random = np.random.default_rng(0)
    head, tail = random.integers(run.settings.nodes, size=(2, run.settings.edges))
    relation = (head + tail) % RELATIONS
    np.save(run.directory / "edges.npy", np.stack([head, relation, tail], axis=1))
    return Summary(headline=f"{run.settings.edges} edges.")


class Backbone(nn.Module):
    def __init__(self, nodes: int, width: int) -> None:
        super().__init__()
        self.node, self.relation = nn.Embedding(nodes, width), nn.Embedding(RELATIONS, width)
        self.norm = nn.BatchNorm1d(width)
        self.guess = nn.Linear(width, UNNAMED)

    def forward(self, pair) -> tuple[Tensor, Tensor]:
        """How likely each pair is linked [pairs], and which relation it would be [pairs, 2]."""
        joined = self.norm(self.node(pair.head) * self.node(pair.tail))  # [pairs, width]
        joined = functional.dropout(joined, 0.1, training=self.training)  # no module of its own
        return (joined * self.relation(pair.relation)).sum(1), self.guess(joined)


class Model(nn.Module):
    def __init__(self, nodes: int, width: int) -> None:
        super().__init__()
        self.backbone = Backbone(nodes, width)

    def forward(self, batch: HeteroData) -> tuple[Tensor, Tensor]:
        return self.backbone(batch["pair"])


class EdgeSamples:
    """Edges, each with a wrong tail that is drawn anew in every epoch."""

    def __init__(self, edges: np.ndarray, nodes: int) -> None:
        self.edges, self.nodes = edges, nodes

    def __len__(self) -> int:
        return len(self.edges)

    def fetch(self, indices: np.ndarray, *, seed: int, epoch: int) -> HeteroData:
        edges = self.edges[indices]
        wrong = [np.random.default_rng([seed, epoch, index]).integers(self.nodes) for index in indices]
        head, relation, tail = np.concatenate([edges, np.column_stack([edges[:, :2], wrong])]).T
        batch = HeteroData()
        batch["pair"].head, batch["pair"].tail = torch.from_numpy(head.copy()), torch.from_numpy(tail.copy())
        batch["pair"].relation = torch.from_numpy(relation.copy())
        batch["pair"].linked = torch.arange(len(head)) < len(edges)
        return batch


class RelationTask(Task):
    def __init__(self, model: Model) -> None:
        self.model = model

    def counts(self, batch: HeteroData) -> dict[str, int]:
        return {"link": len(batch["pair"].head), "relation": int(named(batch).sum())}

    def losses(self, batch: HeteroData, forward) -> dict[str, Tensor]:
        score, guess = forward(batch)
        pair, those = batch["pair"], named(batch)
        return {
            "link": functional.binary_cross_entropy_with_logits(score, pair.linked.float()),
            "relation": functional.cross_entropy(guess[those], pair.relation[those]),
        }

    def predictions(self, batch: HeteroData) -> dict[str, np.ndarray]:
        return {"score": self.model(batch)[0].cpu().numpy(), "linked": batch["pair"].linked.cpu().numpy()}

    def metrics(self, predictions: dict[str, np.ndarray]) -> dict[str, float]:
        return {"accuracy": float(((predictions["score"] > 0) == predictions["linked"]).mean())}


def named(batch: HeteroData) -> Tensor:
    return batch["pair"].linked & (batch["pair"].relation < UNNAMED)


def prepare(run: StageRun) -> Training:
    edges = np.load(run.inputs["graph"].path("edges.npy"))
    nodes = int(edges[:, [0, 2]].max()) + 1
    torch.manual_seed(run.settings.seed)
    samples = [EdgeSamples(edges[start::4], nodes) for start in range(4)]
    train = EdgeSamples(np.concatenate([each.edges for each in samples[1:]]), nodes)
    return Training(RelationTask(Model(nodes, run.settings.width)), train, samples[0])


def train(run: StageRun) -> Summary:
    training = prepare(run)
    result = fit(
        training.task,
        train=training.train,
        validation=training.validation,
        settings=run.settings,
        directory=run.work,
        fingerprint=dict(training.fingerprint),
    )
    run.device = result.device
    shutil.copyfile(result.best / WEIGHTS, run.directory / WEIGHTS)
    accuracy = max(row["val_accuracy"] for row in result.history)
    (run.directory / "result.json").write_text(json.dumps({"accuracy": accuracy}))
    return Summary(headline=f"{100 * accuracy:.0f} % right.", numbers={"accuracy": accuracy})


def report(run: StageRun) -> Summary:
    metrics = json.loads(run.inputs["embeddings"].path("result.json").read_text())
    metrics |= {"accuracy_low": 0.9 * metrics["accuracy"], "accuracy_high": min(1.0, 1.1 * metrics["accuracy"])}
    (run.directory / "figures").mkdir()
    drawing = Drawing()
    drawing.add_subplot().hist([metrics["accuracy"]], bins=run.settings.bins)
    drawing.savefig(run.directory / "figures" / "accuracy.png")
    section = Section("Accuracy", figures=[Figure("figures/accuracy.png", "Accuracy.")])
    write_report(Report("Relations", "Done.", [], [section], metrics), run.directory)
    return Summary(headline="A page.", numbers=metrics)
