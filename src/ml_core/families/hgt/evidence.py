"""What the report rests on: the judges, and their answers to the same questions."""

from __future__ import annotations

from dataclasses import dataclass

from ml_core.families.hgt.data import EdgeSplits, KnowledgeGraph
from ml_core.families.hgt.evaluate import Answers, Questions
from ml_core.families.hgt.judges import EmbeddingJudge, Judge
from ml_core.families.hgt.report_settings import ReportSettings

MODEL = "model"


@dataclass(frozen=True)
class Evidence:
    """What the report rests on. judges by method; those with embeddings are judged for their shape too."""

    graph: KnowledgeGraph
    splits: EdgeSplits
    judges: dict[str, Judge]
    main: int  # relation

    @property
    def name(self) -> str:
        return self.graph.relations[self.main].name

    @property
    def shaped(self) -> dict[str, EmbeddingJudge]:
        return {
            name: judge
            for name, judge in self.judges.items()
            if isinstance(judge, EmbeddingJudge) and not name.startswith("distmult")
        }


@dataclass(frozen=True)
class Links:
    """Questions of every relation that has test edges, and each judge's answers, by the relation's name."""

    questions: dict[str, Questions]
    answers: dict[str, dict[str, Answers]]  # relation -> method

    def compared(self, settings: ReportSettings) -> list[str]:
        """Relations with enough test edges to say who is better."""
        return [name for name, asked in self.questions.items() if asked.in_split >= settings.least_edges]
