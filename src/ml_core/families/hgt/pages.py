"""The report's page: what a reader is told, in which order, with which figures."""

from __future__ import annotations

import math

from ml_core.families.hgt.compare_links import RIVALS
from ml_core.families.hgt.figures import METHODS
from ml_core.families.hgt.report_settings import ReportSettings
from ml_core.report import Figure, KeyFigure, Report, Section, Table
from ml_core.running import StageRun
from ml_core.summary import Number, Summary

COMPARED = ("filtered MRR", "degree-matched AUROC")
NAMED = 4  # relations that the headline names, of those that a baseline wins


def page(summary: Summary, *, main: str, settings: ReportSettings, provenance: dict[str, str]) -> Report:
    """Links first, then the shape, the verdict and what users do; training and data last."""
    sections = (
        _links(summary, main),
        _every_relation(summary),
        _verdict(summary, settings),
        _curated(summary),
        _classifier(summary),
        _beside(summary, main),
        _training(summary),
    )
    return Report(
        title="HGT: embeddings of a biomedical knowledge graph",
        headline=headline(summary, main),
        key_figures=key_figures(summary, main),
        sections=[section for section in sections if section is not None],
        metrics=summary.numbers,
        facts=provenance,
    )


def headline(summary: Summary, main: str) -> str:
    """Who wins, a winning baseline first; then the verdict."""
    parts = []
    for metric in COMPARED:
        rows = [row for row in summary.tables[metric] if row["counts"] or row["relation"] == main]
        lost = [row for row in rows if row["wins"] != METHODS["model"][0]]
        if lost:
            named = ", ".join(f"{row['relation']} ({row['wins']})" for row in lost[:NAMED])
            more = f" and {len(lost) - NAMED} more" if len(lost) > NAMED else ""
            parts.append(f"A baseline wins {metric} on {len(lost)} of {len(rows)} relations: {named}{more}")
        else:
            parts.append(f"HGT wins {metric} on all {len(rows)} relations")
    parts.sort(key=lambda text: not text.startswith("A baseline"))
    numbers = summary.numbers
    ours = _show(numbers.get(f"test.{main}.mrr"))
    against = ", ".join(
        f"{METHODS[rival][0]} {_show(value)}"
        for rival in RIVALS
        if (value := numbers.get(f"control.{rival}.{main}.mrr")) is not None
    )
    parts.append(f"{main}: filtered MRR {ours} ({against})")
    verdict = numbers.get("verdict")
    parts.append(f"The verdict on the embeddings is {verdict}" + _why(summary))
    return ". ".join(part[0].upper() + part[1:] if part[0] != main[0] else part for part in parts) + "."


def key_figures(summary: Summary, main: str) -> list[KeyFigure]:
    """The numbers at the top, each beside what to hold it against."""
    numbers = summary.numbers
    shown = []
    for label, metric in (
        ("filtered MRR", "mrr"),
        ("Hits@10", "hits10"),
        ("AUROC", "auroc"),
        ("AUROC, like degrees", "matched_auroc"),
    ):
        value = _finite(numbers.get(f"test.{main}.{metric}"))
        known = {rival: _finite(numbers.get(f"control.{rival}.{main}.{metric}")) for rival in RIVALS}
        theirs = {rival: there for rival, there in known.items() if there is not None}
        interval = _interval(numbers, f"test.{main}.{metric}")
        against = ", ".join(f"{METHODS[rival][0]} {_show(there)}" for rival, there in theirs.items())
        good = all(value > there for there in theirs.values()) if value is not None and theirs else None
        shown.append(KeyFigure(f"{main}, {label}", _show(value), f"95 % {interval}; {against}", good))
    ranks = {
        name.split(".")[1]: value
        for name, value in numbers.items()
        if name.startswith("geometry.") and name.endswith(".effective_rank")
    }
    if ranks:
        least = min(ranks, key=lambda name: float(ranks[name] or 0))
        verdict = str(numbers.get("verdict"))
        shown.append(KeyFigure("Least effective rank", _show(ranks[least]), f"of type {least}", verdict != "fail"))
        shown.append(KeyFigure("Verdict", verdict, "on shape and links", verdict == "pass"))
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


def _links(summary: Summary, main: str) -> Section:
    numbers = summary.numbers
    of_end = f"test.{main}.mrr_of_"
    ends = [name.removeprefix(of_end) for name in numbers if name.startswith(of_end)]
    rows: list[dict[str, Number]] = []
    sides: list[dict[str, Number]] = []
    for method, (label, _, _) in METHODS.items():
        prefix = f"test.{main}" if method == "model" else f"control.{method}.{main}"
        if f"{prefix}.mrr" in numbers:
            rows.append(
                {
                    "method": label,
                    "MRR": numbers[f"{prefix}.mrr"],
                    "Hits@1": numbers[f"{prefix}.hits1"],
                    "Hits@3": numbers[f"{prefix}.hits3"],
                    "Hits@10": numbers[f"{prefix}.hits10"],
                    "AUROC": numbers[f"{prefix}.auroc"],
                    "AUPRC": numbers[f"{prefix}.auprc"],
                    "AUROC, like degrees": numbers[f"{prefix}.matched_auroc"],
                    "AUPRC, like degrees": numbers[f"{prefix}.matched_auprc"],
                }
            )
            sides.append(
                {
                    "method": label,
                    **{
                        f"{title}, which {end}?": numbers[f"{prefix}.{metric}_of_{end}"]
                        for end in ends
                        for metric, title in (("mrr", "MRR"), ("hits10", "Hits@10"))
                    },
                }
            )
    asked, there = numbers.get(f"test.{main}.asked"), numbers.get(f"test.{main}.edges")
    text = (
        f"{asked} of the {there} test edges of {main} were asked for. Each asks twice: for the tail among all nodes of "
        "its type, and for the head. Pairs that are known to be true do not compete (filtered); candidates of one "
        "score share the middle rank. All methods answer the same questions.\n"
        f"95 %, edges resampled: MRR {_interval(numbers, f'test.{main}.mrr')}, Hits@10 "
        f"{_interval(numbers, f'test.{main}.hits10')}, AUROC {_interval(numbers, f'test.{main}.auroc')}, AUROC of like "
        f"degrees {_interval(numbers, f'test.{main}.matched_auroc')}.\n"
        "AUROC and AUPRC are against corrupted pairs, one half of weight. Any pairs: the other end is any node of the "
        "type. Like degrees: it is drawn from the test edges' own ends, so that popularity alone says nothing; this is "
        "the harder and the more honest figure."
    )
    tables = [
        Table(rows, "Both questions together"),
        Table(sides, "Each question by itself"),
    ]
    return Section(f"Links: {main}", text, tables, _figures(summary, "Ranks and scores"))


def _every_relation(summary: Summary) -> Section:
    lost = int(summary.numbers["compared.comparisons_lost"] or 0)
    relations = int(summary.numbers["compared.relations"] or 0)
    text = (
        "HGT against the stronger of popularity and DistMult on each relation, paired on the same edges (gain, 95 %); "
        f"'counts': it has enough test edges for the tally. Baselines win {lost} of {2 * relations} "
        "comparisons that count. Where popularity ranks well but does not tell pairs of like degree apart, links are "
        "mostly those of hubs."
    )
    tables = [Table(summary.tables[metric], metric[0].upper() + metric[1:] + " by relation") for metric in COMPARED]
    return Section("Every relation", text, tables, _figures(summary, "Every relation"))


def _verdict(summary: Summary, settings: ReportSettings) -> Section:
    numbers = summary.numbers
    types = [
        name.removeprefix("geometry.").removesuffix(".effective_rank")
        for name in numbers
        if name.startswith("geometry.") and name.endswith(".effective_rank")
    ]
    rows: list[dict[str, Number]] = [
        {
            "type": node_type,
            "effective rank": numbers[f"geometry.{node_type}.effective_rank"],
            "components, 90 %": numbers[f"geometry.{node_type}.pca90"],
            "components, 95 %": numbers[f"geometry.{node_type}.pca95"],
            "mean cosine": numbers[f"geometry.{node_type}.within_cosine"],
            "verdict": numbers[f"verdict.{node_type}"],
            **{
                f"rank, {METHODS[method][0]}": numbers.get(f"control.{method}.geometry.{node_type}.effective_rank")
                for method in ("untrained", "constant")
                if f"control.{method}.geometry.mean_cosine" in numbers
            },
        }
        for node_type in types
    ]
    text = (
        "Effective rank: exp of the entropy of the singular values (Roy and Vetterli 2007), 1 for collapsed "
        "embeddings, at most the width. Components: principal components for 90 and 95 % of the variance, without a "
        "cap. Mean cosine: over all pairs of nodes of a type. A type fails below effective rank "
        f"{settings.min_effective_rank:g} (small types: half of what they can reach; under {settings.min_type_nodes} "
        f"nodes none is asked) or above cosine {settings.max_within_cosine}; links fail where the untrained network's "
        "are not beaten.\n"
        "A shape alone proves nothing: an untrained network has an excellent one. A link test alone does not either: "
        "embeddings of few directions can rank by popularity. So both are asked, and the table below shows that "
        "embeddings from constant features fail for their shape and an untrained network for its links."
    )
    tables = [
        Table(summary.tables["Verdict"], "The same rules for the model and for the controls that must fail"),
        Table(rows, "Shape by type"),
        Table(summary.tables["Mean cosine between types"], "Mean cosine within (diagonal) and between types"),
    ]
    return Section("Shape and verdict", text, tables, _figures(summary, "Shape", "PCA by type", "Distributions"))


def _curated(summary: Summary) -> Section | None:
    rows = summary.tables.get("Curated non-indications")
    if not rows:
        return None
    numbers = summary.numbers
    text = (
        f"{numbers['curated.negatives']} of the {numbers['curated.in_table']} pairs that curators judged to be no "
        "indications are pairs of this graph's nodes and no edges. Some source had proposed their drugs for their "
        "diseases, so that they are hard negatives. AUROC 1 ranks every indication above every one of them. Of all "
        "indications most were trained on: that column is no test."
    )
    return Section("Curated non-indications", text, [Table(rows)])


def _classifier(summary: Summary) -> Section | None:
    rows = summary.tables.get("Classifier")
    if not rows:
        return None
    text = (
        "What users of such embeddings do: gradient-boosted trees on both embeddings and their product, trained on the "
        "training edges. Neither they nor the embeddings have seen the test edges. The decoder is the model's own "
        "score, asked about the same pairs. AUPRC is at one half of positives."
    )
    return Section("Classifier on the embeddings", text, [Table(rows)])


def _beside(summary: Summary, main: str) -> Section | None:
    rows = summary.tables.get("Beside another report")
    if not rows:
        return None
    text = (
        f"{main} under two splits. A random split asks for missing edges of diseases that the model knows drugs of; "
        "the disease holdout asks for the drugs of diseases that it has seen without any."
    )
    return Section("Beside another split", text, [Table(rows)])


def _training(summary: Summary) -> Section:
    numbers = summary.numbers
    text = (
        f"Best after epoch {numbers.get('train.best_epoch')} of {numbers.get('train.epochs')}; "
        f"{_show(numbers.get('train.cpu_seconds'))} CPU-seconds, peak {_show(numbers.get('train.peak_memory_gb'))} GB, "
        f"{numbers.get('train.device')}. Test edges are in no message and in no loss, in neither direction."
    )
    return Section("Training and splits", text, (), _figures(summary, "Training", "Collapse monitor"))


def _why(summary: Summary) -> str:
    row = summary.tables["Verdict"][0]
    return "" if row["verdict"] == "pass" else f" ({row['why']})"


def _figures(summary: Summary, *titles: str) -> list[Figure]:
    return [Figure(summary.figures[title], title) for title in titles if title in summary.figures]


def _interval(numbers: dict[str, Number], name: str) -> str:
    return f"{_show(numbers.get(f'{name}_low'))} to {_show(numbers.get(f'{name}_high'))}"


def _finite(value: Number) -> float | None:
    return value if isinstance(value, float) and math.isfinite(value) else None


def _show(value: Number) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 1 else f"{value:.4g}"
    return "–" if value is None else str(value)  # noqa: RUF001
