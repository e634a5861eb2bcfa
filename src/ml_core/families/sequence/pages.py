"""The report's page: what a reader is told, in which order, with which figures."""

from __future__ import annotations

import math

from ml_core.report import Figure, KeyFigure, Report, Section, Table
from ml_core.summary import Number, Summary

NEAREST = "baseline.nearest_asv.masked_accuracy"
NAMES = {
    "model": "model",
    "random_forest": "random forest",
    "random_forest_averaged": "random forest, rarefactions averaged",
    "knn_unifrac": "kNN on UniFrac",
    "median": "median",
    "majority": "majority",
}


def methods(summary: Summary, metric: str) -> dict[str, float]:
    """Method -> its value on the test samples, the model first; those without a finite one are left out."""
    found = {}
    for name, label in NAMES.items():
        value = summary.numbers.get(f"test.{metric}" if name == "model" else f"baseline.{name}.{metric}")
        if isinstance(value, float) and math.isfinite(value):
            found[label] = value
    return found


def page(summary: Summary, *, column: str, classes: bool, provenance: dict[str, str]) -> Report:
    """The test first, then pretraining, labels, attention, training."""
    metric = "auc" if classes else "mae"
    sections = [
        _test(summary, column=column, metric=metric),
        _pretraining(summary),
        *_labels(summary),
        _attention(summary),
        _training(summary),
    ]
    return Report(
        title="Sequence: a model of microbiome samples",
        headline=headline(summary, column=column, metric=metric),
        key_figures=_key_figures(summary, column=column, metric=metric),
        sections=sections,
        metrics=summary.numbers,
        facts=provenance,
    )


def headline(summary: Summary, *, column: str, metric: str) -> str:
    """Who is best at what, winning baselines first; then how well distances are known."""
    numbers, values = summary.numbers, methods(summary, metric)
    best = (max if metric == "auc" else min)(values, key=lambda name: values[name])
    shown = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
    lead = _lead(summary, metric, best)
    who = "The model" if best == "model" else f"A baseline, {best},"
    if _holds_nothing(lead):
        won = f"{who} is ahead at {column} by less than can be told from chance"
        said = f"; 95 % interval of the model's lead {lead[0]:.2g} to {lead[1]:.2g}"
    else:
        won, said = f"{who} is best at {column}", ""
    parts = [f"{won}, by {metric} on test groups: {shown}{said}."]
    named, nearest = _float(numbers["pretrain.masked_accuracy"]), _float(numbers[NEAREST])
    who = "The encoder" if named > nearest else "A baseline, the nearest ASV,"
    parts.append(f"{who} names most hidden nucleotides: encoder {named:.4g}, nearest ASV {nearest:.4g}.")
    parts.sort(key=lambda text: not text.startswith("A baseline"))
    r2 = _show(numbers["pretrain.unifrac_r2"])
    return " ".join([*parts, f"UniFrac from the embeddings of unseen groups' samples has R2 {r2}."])


def _key_figures(summary: Summary, *, column: str, metric: str) -> list[KeyFigure]:
    numbers, values = summary.numbers, methods(summary, metric)
    ours, rivals = values["model"], {name: value for name, value in values.items() if name != "model"}
    good: bool | None = all(ours > value if metric == "auc" else ours < value for value in rivals.values())
    if _holds_nothing(_lead(summary, metric, (max if metric == "auc" else min)(values, key=lambda name: values[name]))):
        good = None
    against = ", ".join(f"{name} {value:.4g}" for name, value in rivals.items())
    nucleotides = (
        f"nearest ASV {_show(numbers[NEAREST])}, majority by position "
        f"{_show(numbers['baseline.position_majority.masked_accuracy'])}"
    )
    named = _float(numbers["pretrain.masked_accuracy"]) > _float(numbers[NEAREST])
    return [
        KeyFigure(f"{column}, {metric}", f"{ours:.4g}", against, good),
        KeyFigure("UniFrac R2", _show(numbers["pretrain.unifrac_r2"]), "pairs of test samples"),
        KeyFigure("Hidden nucleotides", _show(numbers["pretrain.masked_accuracy"]), nucleotides, named),
        KeyFigure("Groups in two splits", str(numbers["split.shared_groups"]), "must be 0"),
    ]


def _lead(summary: Summary, metric: str, best: str) -> tuple[float, float]:
    """95 % interval of the model's lead on the best other method, or on the best of all; NaN where it is not known."""
    values = methods(summary, metric)
    if best == "model":
        rivals = {name: value for name, value in values.items() if name != "model"}
        if not rivals:
            return math.nan, math.nan
        best = (max if metric == "auc" else min)(rivals, key=lambda name: rivals[name])
    (name,) = (name for name, label in NAMES.items() if label == best)
    ends = (summary.numbers.get(f"test.{metric}_lead_on_{name}_{end}") for end in ("low", "high"))
    low, high = (end if isinstance(end, float) else math.nan for end in ends)
    return low, high


def _holds_nothing(lead: tuple[float, float]) -> bool:
    return lead[0] <= 0 <= lead[1]


def _test(summary: Summary, *, column: str, metric: str) -> Section:
    numbers = summary.numbers
    metrics = ("accuracy", "balanced_accuracy", "auc") if metric == "auc" else ("mae", "rmse", "r2")
    rows: list[dict[str, Number]] = [
        {
            "method": label,
            **{each: numbers.get(f"test.{each}" if name == "model" else f"baseline.{name}.{each}") for each in metrics},
        }
        for name, label in NAMES.items()
        if (f"test.{metric}" if name == "model" else f"baseline.{name}.{metric}") in numbers
    ]
    rows.insert(
        1,
        {"method": "model, one rarefaction", **{each: numbers.get(f"test.one_rarefaction.{each}") for each in metrics}},
    )
    text = (
        f"{numbers['test.samples']} test samples of groups that neither stage has seen. All methods learn from the "
        f"{numbers['train.labelled_samples']} same samples. It averages rarefactions of a sample; a row shows what it "
        "says of the one that the baselines see."
    )
    if "test.mae_low" in numbers:
        text += (
            f" 95 % of resamplings of test groups have a mean absolute error of {_show(numbers['test.mae_low'])} to "
            f"{_show(numbers['test.mae_high'])}."
        )
    if "test.interval_coverage" in numbers:
        text += (
            " The bars of the figure are the interval that comes with each prediction, from the errors on training "
            f"groups that were left out in turn. It shall contain {_show(numbers['test.interval_level'])} of the true "
            f"values and contains {_show(numbers['test.interval_coverage'])}; its mean width is "
            f"{_show(numbers['test.interval_width'])}."
        )
    return Section(f"Predicting {column}", text, [Table(rows)], _figures(summary, "Methods", "Test"))


def _pretraining(summary: Summary) -> Section:
    numbers = summary.numbers
    rows: list[dict[str, Number]] = [
        {"method": "model", "all": numbers["pretrain.masked_accuracy"], "ASVs not learnt from": None},
        {"method": "nearest other ASV", "all": numbers["baseline.nearest_asv.masked_accuracy"]},
        {"method": "majority by position", "all": numbers["baseline.position_majority.masked_accuracy"]},
    ]
    new = {
        "model": numbers.get("pretrain.masked_accuracy_unseen"),
        "nearest other ASV": numbers.get("baseline.nearest_asv.masked_accuracy_unseen"),
    }
    rows = [{**row, "ASVs not learnt from": new.get(str(row["method"]))} for row in rows]
    text = (
        f"{numbers['pretrain.asvs']} ASVs of the test samples, each once, of which {numbers['pretrain.asvs_unseen']} "
        "are in no sample of pretraining. A sequence that others share is known from them, which is no leak of the "
        "target, but makes the column of all ASVs a test of memory too."
    )
    table = Table(rows, "Share of hidden nucleotides that are named")
    return Section("Pretraining on unseen groups", text, [table], _figures(summary, "Distances"))


def _labels(summary: Summary) -> list[Section]:
    if "Label efficiency" not in summary.tables:
        return []
    text = (
        "The same training with the labels of some groups only. frozen: heads on the pretrained encoder; finetuned: "
        "both; scratch: both, from random weights; random: heads on an encoder of random weights."
    )
    table = Table(summary.tables["Label efficiency"])
    return [Section("Label efficiency", text, [table], _figures(summary, "Label efficiency"))]


def _attention(summary: Summary) -> Section:
    text = "Mean attention of the sample transformer per test sample. Clades are learned, and called by number."
    return Section("Attention", text, [Table(summary.tables["Attention"])])


def _training(summary: Summary) -> Section:
    numbers = summary.numbers
    text = (
        f"The predictor took {_show(numbers.get('train.cpu_seconds'))} CPU-seconds for "
        f"{numbers.get('train.epochs')} epochs on {numbers.get('train.device')}."
    )
    return Section("Training", text, (), _figures(summary, "Training of the encoder", "Training of the predictor"))


def _figures(summary: Summary, *titles: str) -> list[Figure]:
    return [Figure(summary.figures[title], title) for title in titles if title in summary.figures]


def _show(value: Number) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _float(value: Number) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
