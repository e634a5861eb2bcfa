"""The stage `report`: the model and every baseline on the same test samples, and what pretraining is worth."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

import numpy as np

from ml_core.errors import UserError
from ml_core.families.sequence import figures, pages
from ml_core.families.sequence.attention_table import attention_table
from ml_core.families.sequence.baselines import majority, nearest_samples, random_forest
from ml_core.families.sequence.data import (
    Distances,
    GroupSplits,
    SampleTable,
    load_distances,
    load_splits,
    load_table,
)
from ml_core.families.sequence.encoder_stage import load_encoder, rows_to_learn_from
from ml_core.families.sequence.evaluate import (
    Said,
    distance_figures,
    intervals_cover,
    nucleotide_figures,
    predict_samples,
    predicted_distances,
)
from ml_core.families.sequence.label_efficiency import train_with
from ml_core.families.sequence.model_settings import EncoderSettings, PredictorSettings
from ml_core.families.sequence.predictor_samples import rarefactions_of
from ml_core.families.sequence.predictor_stage import known_rows, labelled_rows, load_predictor
from ml_core.families.sequence.predictor_task import PredictorTask, class_metrics, number_metrics
from ml_core.families.sequence.report_settings import ReportSettings
from ml_core.families.sequence.splits import shared_groups
from ml_core.families.sequence.targets import CLASSIFICATION
from ml_core.metrics.bootstrap import draw_weights, interval
from ml_core.report import write_report
from ml_core.running import StageRun
from ml_core.settings import Settings
from ml_core.summary import Number, Summary


@dataclass(frozen=True)
class Evidence:
    """Everything that is asked and held against: table, distances, splits; the trained task and what it learnt from.

    **Shapes**: train, test: indices of samples with a known target; answer_train, answer_test: their numbers, or their
    classes as int.
    """

    table: SampleTable
    distances: Distances
    splits: GroupSplits
    task: PredictorTask
    limit: int
    rarefactions: int
    train: np.ndarray
    test: np.ndarray
    answer_train: np.ndarray
    answer_test: np.ndarray

    @property
    def classes(self) -> bool:
        return self.task.target.kind == CLASSIFICATION


def build(run: StageRun) -> Summary:
    """Test, baselines, pretraining, label efficiency, attention, figures, page."""
    settings: ReportSettings = run.settings
    summary = Summary()
    for stage in ("table", "unifrac", "splits", "predictor"):
        summary.numbers |= run.inputs[stage].summary.numbers
    known = gather(run)
    summary.numbers["split.shared_groups"] = shared_groups(known.splits)
    said = predict_samples(known.task, known.table, known.test, rarefactions=known.rarefactions, limit=known.limit)
    weights = resampled_groups(known, settings)
    _test(known, said, weights=weights, summary=summary)
    _baselines(known, said, weights=weights, summary=summary, settings=settings)
    _pretraining(run, known, summary=summary, settings=settings)
    _label_efficiency(run, known, summary=summary, settings=settings)
    summary.tables["Attention"] = attention_table(known.task, known.table, known.test, most=settings.shown_asvs)
    _draw(run, known, said, summary=summary)
    for metric in (
        "mae",
        "auc",
    ):  # empty where the target is of the other kind
        for name in ("test", "baseline.random_forest", "baseline.knn_unifrac", "baseline.median"):
            summary.numbers.setdefault(f"{name}.{metric}", None)
    _checks(known, summary)
    page = pages.page(summary, column=known.task.target.column, classes=known.classes, provenance=_provenance(run))
    summary.headline = page.headline
    write_report(page, run.directory)
    return summary


def gather(run: StageRun) -> Evidence:
    """The artifacts, and the samples of training and test whose target is known."""
    table, splits = load_table(run.inputs["table"].directory), load_splits(run.inputs["splits"].directory)
    task, described = load_predictor(run.inputs["predictor"].directory)
    settings = _settings_of(run, "predictor", PredictorSettings)
    values = table.column(task.target.column, setting="predictor.target")
    train, test = labelled_rows(table, splits, settings), known_rows(values, splits.samples_in("test"))
    if not len(test):
        raise UserError(
            f"report: no test sample has a value in column '{task.target.column}'; take another splits.fold, or name "
            "another predictor.target."
        )
    answers = [
        task.target.encode(values.iloc[rows])
        if task.target.kind == CLASSIFICATION
        else np.asarray(values.iloc[rows], float)
        for rows in (train, test)
    ]
    return Evidence(
        table,
        load_distances(run.inputs["unifrac"].directory),
        splits,
        task,
        described["encoder"]["token_limit"],
        described["rarefactions"],
        train,
        test,
        *answers,
    )


def _measured(known: Evidence, said: np.ndarray) -> dict[str, float]:
    """Metrics of chances [test, classes] or numbers [test]."""
    return (class_metrics if known.classes else number_metrics)(said, known.answer_test)


def resampled_groups(known: Evidence, settings: ReportSettings) -> np.ndarray:
    """How often each test sample counts when test groups are drawn with replacement, [draws, test]."""
    names, group = np.unique(known.splits.group[known.test].astype(str), return_inverse=True)
    return draw_weights(len(names), draws=settings.bootstrap_draws, seed=settings.seed)[:, group]  # type: ignore[no-any-return]


def _test(known: Evidence, said: Said, *, weights: np.ndarray, summary: Summary) -> None:
    ours = said.of(classes=known.classes)
    summary.numbers |= {f"test.{name}": value for name, value in _measured(known, ours).items()}
    one = {f"test.one_rarefaction.{name}": value for name, value in _measured(known, said.single).items()}
    summary.numbers |= one | {"test.samples": len(known.test)}
    if not known.classes and known.task.interval is not None:
        summary.numbers |= intervals_cover(said, known.answer_test, level=known.task.interval.level)
    name = "auc" if known.classes else "mae"
    low, high = interval(_drawn(known, ours, weights=weights))
    summary.numbers |= {f"test.{name}_low": low, f"test.{name}_high": high}


def _drawn(known: Evidence, said: np.ndarray, *, weights: np.ndarray) -> np.ndarray:
    """AUC or mean absolute error in each resampling, [draws]."""
    if known.classes:
        return drawn_auc(said, known.answer_test, weights=weights)
    drawn: np.ndarray = (weights @ np.abs(said - known.answer_test)) / weights.sum(1)
    return drawn


def drawn_auc(chance: np.ndarray, true: np.ndarray, *, weights: np.ndarray) -> np.ndarray:
    """AUC [draws] of chance [n, classes] over resamplings; weights [draws, n]: how often a sample counts.

    Draws that have one class only say nothing of it: NaN.
    """
    drawn = (np.repeat(np.arange(len(true)), times.astype(int)) for times in weights)
    return np.array([class_metrics(chance[rows], true[rows])["auc"] for rows in drawn])


def _baselines(known: Evidence, said: Said, *, weights: np.ndarray, summary: Summary, settings: ReportSettings) -> None:
    """Each baseline's metrics, and the 95 % interval of the model's lead on it, groups drawn anew."""
    kind, classes = known.task.target.kind, len(known.task.target.classes)
    common = {"answer": known.answer_train, "kind": kind, "classes": classes}
    rows = {"train": known.train, "test": known.test}
    found = {
        "majority" if known.classes else "median": majority(count=len(known.test), **common),
        "knn_unifrac": nearest_samples(known.distances.matrix, **rows, **common, k=settings.neighbours),
    }
    if settings.forest:
        found["random_forest"] = random_forest(known.table.counts, **rows, **common, seed=settings.seed)
        if known.rarefactions > 1:
            every = np.arange(len(known.table))
            mean = sum(rarefactions_of(known.table, every, count=known.rarefactions)) / known.rarefactions
            found["random_forest_averaged"] = random_forest(mean.tocsr(), **rows, **common, seed=settings.seed)
    metric, sign = ("auc", 1) if known.classes else ("mae", -1)
    ours = _drawn(known, said.of(classes=known.classes), weights=weights)
    for name, theirs in found.items():
        summary.numbers |= {f"baseline.{name}.{each}": value for each, value in _measured(known, theirs).items()}
        low, high = interval(sign * (ours - _drawn(known, theirs, weights=weights)))
        summary.numbers |= {f"test.{metric}_lead_on_{name}_low": low, f"test.{metric}_lead_on_{name}_high": high}


def _pretraining(run: StageRun, known: Evidence, *, summary: Summary, settings: ReportSettings) -> None:
    encoder, _ = load_encoder(run.inputs["encoder"].directory)
    test = known.splits.samples_in("test")
    learnt = rows_to_learn_from(known.splits, _settings_of(run, "encoder", EncoderSettings))
    said = predicted_distances(encoder, known.table, test, limit=known.limit)
    true = np.asarray(known.distances.matrix[np.ix_(test, test)])
    summary.numbers |= distance_figures(said, true)
    summary.numbers |= nucleotide_figures(
        encoder, known.table, test=test, learnt=learnt, share=settings.mask_share, seed=settings.seed
    )
    figures.draw_distances(run.directory / "figures" / "distances.png", said=said, true=true)
    summary.figures["Distances"] = "figures/distances.png"


def _label_efficiency(run: StageRun, known: Evidence, *, summary: Summary, settings: ReportSettings) -> None:
    predictor = _settings_of(run, "predictor", PredictorSettings)
    metric = "auc" if known.classes else "mae"
    rows: list[dict[str, Number]] = []
    for share in settings.label_shares:
        for mode in settings.label_modes:
            measured = train_with(
                known.table,
                known.splits,
                run.inputs["encoder"],
                settings=predictor,
                mode=mode,
                share=share,
                work=run.work / f"labels-{mode}-{share:g}",
            )
            rows.append({"mode": mode, "share": share, metric: measured[metric]})
            summary.numbers[f"label_efficiency.{mode}.{share * 100:g}.{metric}"] = measured[metric]
    if rows:
        summary.tables["Label efficiency"] = rows
        path = run.directory / "figures" / "label_efficiency.png"
        figures.draw_label_efficiency(path, rows=rows, metric=metric)
        summary.figures["Label efficiency"] = "figures/label_efficiency.png"


def _draw(run: StageRun, known: Evidence, said: Said, *, summary: Summary) -> None:
    folder, target = run.directory / "figures", known.task.target
    if known.classes:
        found = said.said.argmax(1)
        figures.draw_confusion(folder / "test.png", found=found, true=known.answer_test, classes=target.classes)
    else:
        figures.draw_numbers(folder / "test.png", said=said, true=known.answer_test, column=target.column)
    summary.figures["Test"] = "figures/test.png"
    metric = "auc" if known.classes else "mae"
    values = pages.methods(summary, metric)
    figures.draw_methods(folder / "methods.png", values=values, metric=metric)
    summary.figures["Methods"] = "figures/methods.png"
    for stage in ("encoder", "predictor"):
        title = f"Training of the {stage}"
        shutil.copyfile(run.inputs[stage].path("figures/curves.png"), folder / f"{stage}.png")
        summary.figures[title] = f"figures/{stage}.png"


def _checks(known: Evidence, summary: Summary) -> None:
    numbers = summary.numbers
    shared = int(numbers["split.shared_groups"] or 0)
    summary.check("no_shared_group", shared == 0, f"{shared} groups are in two splits")
    metric, sign = ("auc", 1) if known.classes else ("mae", -1)
    values = pages.methods(summary, metric)
    ours = values.pop("model")
    best = max(values, key=lambda name: sign * values[name])
    text = f"{metric} {ours:.4g}; the best baseline, {best}, has {values[best]:.4g}"
    summary.check("baselines_beaten", sign * ours > sign * values[best], text)


def _settings_of(run: StageRun, stage: str, kind: type[Settings]) -> Settings:
    """The settings that an input was made with."""
    return kind.parse(run.inputs[stage].manifest["settings"], where=f"report: the artifact of {stage}")


def _provenance(run: StageRun) -> dict[str, str]:
    predictor = run.inputs["predictor"].manifest
    facts = {
        f"{name} artifact": f"{artifact.fingerprint} (digest {artifact.digest[:16]})"
        for name, artifact in run.inputs.items()
    }
    for name in ("encoder", "predictor"):
        made = run.inputs[name].manifest
        facts[f"{name} trained"] = f"on {made['device']} in {made['seconds']:.0f} s"
    return facts | {name: str(value) for name, value in predictor["libraries"].items()}
