"""The report's page: what a reader is told, in which order, with which figures."""

from __future__ import annotations

import math
from typing import Any

from ml_core.families.segger.evaluate import RIVALS, gain_numbers, prefix_of
from ml_core.families.segger.figures import METHODS
from ml_core.report import Figure, KeyFigure, Report, Section, Table
from ml_core.running import StageRun
from ml_core.summary import Number, Summary

BIOLOGY = {"mecr": "MECR", "contamination": "Contamination"}


def page(summary: Summary, *, curves: dict[str, list[dict[str, float]]], provenance: dict[str, str]) -> Report:
    """Sections for the four tests, then predictions, training and data."""
    return Report(
        title="Segger: transcripts to cells",
        headline=headline(summary),
        key_figures=key_figures(summary),
        sections=[
            section
            for section in (
                _truth(summary),
                _ring(summary),
                _biology(summary, curves),
                _agreement(summary),
                _predictions(summary),
                _training(summary),
            )
            if section is not None
        ],
        metrics=summary.numbers,
        facts=provenance,
    )


def headline(summary: Summary) -> str:
    """Who wins, in one sentence; where a baseline does, it comes first.

    A tie is what looks equal to the reader, and a difference whose 95 % interval holds 0.
    """
    numbers = summary.numbers
    lost, won, tied = [], [], []
    comparisons = [
        ("the ring test's top-1", "ring.top1", True),
        ("MECR at 95 % assigned", "biology.mecr_at_95", False),
        ("contamination at 95 % assigned", "biology.contamination_at_95", False),
        ("accuracy on simulated truth", "truth.transcript_accuracy", True),
    ]
    for what, measure, more in comparisons:
        value = _finite(numbers.get(measure))
        theirs = {rival: _finite(numbers.get(f"baseline.{rival}.{measure}")) for rival in RIVALS}
        known = {rival: there for rival, there in theirs.items() if there is not None}
        if value is None or not known:
            continue
        best = (max if more else min)(known, key=lambda name: known[name])
        rival, gain = METHODS[best][0], _gain(numbers, measure, best)
        text = f"{what} ({_show(value)} against {_show(known[best])})"
        if _show(value) == _show(known[best]):
            tied.append(text)
        elif _holds_nothing(gain):
            tied.append(f"{text[:-1]}; 95 % interval of the difference {_range(gain)})")
        elif (value > known[best]) == more:
            won.append(text)
        else:
            lost.append(f"{rival} wins {text.replace(' against ', ' is ours, against ')}")
    parts = ["; ".join(lost)] if lost else []
    parts += [f"Segger is better than every baseline in {', '.join(won)}"] if won else []
    parts += [f"Segger is as good as the best baseline in {', '.join(tied)}"] if tied else []
    return ". ".join(part[0].upper() + part[1:] for part in parts) + "." if parts else "Nothing could be compared."


def key_figures(summary: Summary) -> list[KeyFigure]:
    """The numbers at the top, each beside what to hold it against."""
    numbers = summary.numbers
    shown = []
    for label, name, more in (
        ("Ring test, top-1", "ring.top1", True),
        ("MECR at 95 %", "biology.mecr_at_95", False),
        ("Contamination at 95 %", "biology.contamination_at_95", False),
        ("Accuracy, simulated truth", "truth.transcript_accuracy", True),
        ("Cells found, F1", "truth.cell_f1", True),
    ):
        value = _finite(numbers.get(name))
        if value is None:
            continue
        rivals = {r: _finite(numbers.get(f"baseline.{r}.{name}")) for r in ("nearest_polygon", "likelihood")}
        known = {r: v for r, v in rivals.items() if v is not None}
        against = ", ".join(f"{METHODS[r][0]} {_show(v)}" for r, v in known.items())
        good = all((value >= v) if more else (value <= v) for v in known.values()) if known else None
        if good and any(_holds_nothing(_gain(numbers, name, rival)) for rival in RIVALS):
            good = None  # no difference is seen
        shown.append(KeyFigure(label, _show(value), against, good))
    share = numbers.get("predictions.share_assigned")
    cells = numbers.get("predictions.cells")
    shown.append(KeyFigure("Transcripts assigned", f"{float(share or 0):.1%}", f"to {int(cells or 0):,} cells", None))
    return shown


def provenance(run: StageRun) -> dict[str, str]:
    """Where every number comes from."""
    model = run.inputs["model"].manifest
    facts = {
        f"{name} artifact": f"{artifact.fingerprint} (digest {artifact.digest[:16]})"
        for name, artifact in run.inputs.items()
    }
    facts |= {"model trained on": str(model["device"]), "model trained in": f"{model['seconds']:.0f} s"}
    return facts | {name: str(value) for name, value in model["libraries"].items()}


def _ring(summary: Summary) -> Section:
    numbers = summary.numbers
    gain = _range(_gain(numbers, "ring.top1", "nearest_polygon"))
    text = (
        "Each nucleus is shrunk to the hull of the inner half of its transcripts. The outer half, whose cell the stain "
        "knows, is hidden from hulls, features, supervision and messages, and must find its nucleus among the four "
        "nearest shrunk ones. Training never saw this view. The model is told that these transcripts are "
        "nuclear, not in which nucleus.\n"
        f"Top-1 less that of the nearest nucleus, test blocks: {gain} (95 %, bootstrap over "
        f"nuclei). F1 over candidates at the threshold of the validation blocks: {_show(numbers.get('ring.f1'))}. "
        "Distances have no common scale over candidates, which makes their AUROC low; top-1 is the fair comparison."
    )
    tables = [
        Table(summary.tables.get("Ring test", []), "Same transcripts and same candidates in every row of a group.")
    ]
    return Section("Held-out nuclear transcripts (ring test)", text, tables, _figures(summary, "Calibration"))


def _biology(summary: Summary, curves: dict[str, list[dict[str, float]]]) -> Section:
    if not curves:
        return Section(
            "Biology", "The sample came without an scRNA-seq reference, or it shares too few markers: not judged."
        )
    numbers = summary.numbers
    text = (
        f"{numbers.get('biology.marker_genes')} marker genes of the reference give {numbers.get('biology.pairs'):,} "
        "pairs that no cell type has together. MECR is the mean share of cells with both genes of a pair among those "
        "with either; contamination is the share of marker transcripts that are foreign to their cell's type, in cells "
        "whose nuclear transcripts make the type clear. Lower is better, at an equal share of transcripts assigned. "
        "The reference judges and was never shown to the model.\n"
        f"At 95 % assigned, model less likelihood: MECR {_interval(numbers, 'mecr', 'likelihood')}, contamination "
        f"{_interval(numbers, 'contamination', 'likelihood')}; model less nearest nucleus: MECR "
        f"{_interval(numbers, 'mecr', 'nearest_polygon')}, contamination "
        f"{_interval(numbers, 'contamination', 'nearest_polygon')} (95 % intervals, spatial blocks, paired).\n"
        "'Nearest nucleus, our cut' shows how much of a gain is due to which transcripts are left out, and how much to "
        "where the others go. 'Plausible nuclei only' is the setting predictions.assign_by: plausible, which takes the "
        "most probable nucleus among those that the gene fits: purer cells, for some accuracy where the truth is "
        "known. Both measures reward assigning by genes, right or wrong: likelihood does so freely, and "
        "its row is to be read together with its ring test."
    )
    tables = [Table(_by_share(curves, name), f"{title} by the share assigned") for name, title in BIOLOGY.items()]
    return Section("Biology", text, tables, _figures(summary, "Biology over the share assigned"))


def _by_share(curves: dict[str, list[dict[str, float]]], name: str) -> list[dict[str, Number]]:
    """A row for each method, a column for each share at which it was measured; the vendor has one share only."""
    shares = sorted({row["share"] for row in curves["model"][:-1]}, reverse=True)
    rows: list[dict[str, Number]] = []
    for method, points in curves.items():
        at = {row["share"]: row[name] for row in points}
        most = points[-1]
        rows.append(
            {
                "method": METHODS[method][0],
                **{f"at {share:.0%}": at.get(share) for share in shares},
                "all it assigns": most[name],
                "that is": f"{most['share']:.1%}",
            }
        )
    return rows


def _truth(summary: Summary) -> Section | None:
    numbers = summary.numbers
    if "truth.transcript_accuracy" not in numbers:
        return None
    rows: list[dict[str, Number]] = []
    for method, (label, _) in METHODS.items():
        prefix = f"{prefix_of(method)}truth."
        if f"{prefix}transcript_accuracy" in numbers:
            rows.append(
                {
                    "method": label,
                    "accuracy": numbers[f"{prefix}transcript_accuracy"],
                    "cell F1": numbers[f"{prefix}cell_f1"],
                    "accuracy, whole sample": numbers[f"{prefix}whole.transcript_accuracy"],
                }
            )
    text = (
        "The sample is simulated, so that each transcript's true cell is known. Accuracy counts every kept transcript "
        "of the test blocks, background included (right when it is given to no cell); a cell is found when its "
        "transcripts have an IoU of at least 0.5. 'Plausible nuclei only' stands at 95 % assigned, the others at all."
    )
    return Section("Simulated truth", text, [Table(rows)])


def _agreement(summary: Summary) -> Section:
    rows: list[dict[str, Any]] = []
    for method in ("model", "nearest_polygon", "likelihood"):
        prefix = "agreement." if method == "model" else f"baseline.{method}.agreement."
        rows.append(
            {
                "method": METHODS[method][0],
                "nuclear": summary.numbers.get(f"{prefix}nuclear"),
                "cytoplasmic": summary.numbers.get(f"{prefix}cytoplasmic"),
            }
        )
    text = (
        "The vendor's cytoplasm is nuclei grown by a distance, not truth: this is agreement, and distance agrees best "
        "by construction."
    )
    return Section("Agreement with the vendor", text, [Table(rows)])


def _predictions(summary: Summary) -> Section:
    numbers = summary.numbers
    rows: list[dict[str, Number]] = [
        {"status": name.removeprefix("predictions.status."), "transcripts": value}
        for name, value in numbers.items()
        if name.startswith("predictions.status.")
    ]
    text = (
        f"{numbers.get('predictions.input_rows'):,} transcripts in, {numbers.get('predictions.output_rows'):,} out. "
        f"Median {_show(numbers.get('predictions.median_transcripts_per_cell'))} transcripts in a cell, median nucleus "
        f"{_show(numbers.get('predictions.median_nucleus_area_um2'))} um2; "
        f"{numbers.get('predictions.fragments')} fragments of transcripts far from every nucleus."
    )
    tables = [
        Table(rows, "What became of each transcript"),
        Table(summary.tables.get("Filtered", []), "Filtered before anything else, by reason"),
        Table(summary.tables.get("Genes unknown to the model", [])[:50], "Genes that the model has never seen"),
    ]
    return Section("Predictions", text, tables, _figures(summary, "Map of a window", "Scores"))


def _training(summary: Summary) -> Section:
    numbers = summary.numbers
    text = (
        f"Best after epoch {numbers.get('train.best_epoch')} of {numbers.get('train.epochs')}; "
        f"{_show(numbers.get('train.cpu_seconds'))} CPU-seconds, peak {_show(numbers.get('train.peak_memory_gb'))} GB, "
        f"{numbers.get('train.device')}. Splits are contiguous blocks with a guard band; they share "
        f"{numbers.get('split.shared_transcripts')} transcripts."
    )
    return Section("Training and splits", text, (), _figures(summary, "Training", "Blocks and splits"))


def _figures(summary: Summary, *titles: str) -> list[Figure]:
    return [Figure(summary.figures[title], title) for title in titles if title in summary.figures]


def _interval(numbers: dict[str, Number], name: str, rival: str) -> str:
    return _range(_gain(numbers, f"biology.{name}_at_95", rival))


def _gain(numbers: dict[str, Number], measure: str, rival: str) -> tuple[float | None, float | None]:
    """The 95 % interval of the model's measure less a rival's; None where it is not known."""
    low, high = (_finite(numbers.get(name)) for name in gain_numbers(measure, rival, (0.0, 0.0)))
    return low, high


def _holds_nothing(interval: tuple[float | None, float | None]) -> bool:
    low, high = interval
    return low is not None and high is not None and low <= 0 <= high


def _range(interval: tuple[float | None, float | None]) -> str:
    low, high = ("–" if end is None else f"{end:.2g}" for end in interval)  # noqa: RUF001
    return f"{low} to {high}"


def _finite(value: Number) -> float | None:
    return value if isinstance(value, float) and math.isfinite(value) else None


def _show(value: Number) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "–" if value is None else str(value)  # noqa: RUF001
