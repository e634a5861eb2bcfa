"""The account of a table: what its files share, what was left out and why, and what was odd."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from ml_core.families.sequence.data import SampleTable
from ml_core.families.sequence.settings import TableSettings
from ml_core.summary import Number, Summary

FEWEST_READS = 0.9  # a smaller share of the reads that is kept is worth a look
FEWEST_SAMPLES = 0.8
REPAIRS = {
    "missing_lengths": "branches without a length, set to 0",
    "negative_lengths": "branches of negative length, set to 0",
    "duplicate_tips": "tips of a name that was there before, left out",
    "unrooted": "trees rooted at their midpoint",
    "joined_tips": "tips joined from a further tree",
}


@dataclass
class Account:
    """Filled while a table is read. Keys of mappings are words for the reader.

    **Shapes**: lengths_bp [a] of the kept ASVs before trimming; all_reads and all_study [n] of the samples that the
    depth is asked of.
    """

    samples: dict[str, int] = field(default_factory=dict)
    asvs: dict[str, int] = field(default_factory=dict)
    reads: int = 0  # of the samples that are kept, all their ASVs
    metadata_rows: int = 0
    distinct_asvs: int = 0
    on_tree: int = 0
    asvs_left_out: dict[str, int] = field(default_factory=dict)
    samples_left_out: list[dict[str, Number]] = field(default_factory=list)
    tree: dict[str, int] = field(default_factory=dict)
    noticed: Counter[str] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)
    lengths_bp: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    all_reads: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    all_study: np.ndarray = field(default_factory=lambda: np.empty(0, np.int8))

    def leave_out(self, names: np.ndarray, *, reason: str, reads: np.ndarray) -> None:
        """List samples [k] that go, with their reads [k]."""
        rows: list[dict[str, Number]] = [
            {"sample": str(name), "reason": reason, "reads": int(count)}
            for name, count in zip(names, reads, strict=True)
        ]
        self.samples_left_out += rows


def summarise(table: SampleTable, *, account: Account, settings: TableSettings) -> Summary:
    """Numbers, the tables of what overlaps and what went, and the checks."""
    n, a = table.counts.shape
    main = len(table.main)
    reads = int(table.whole.sum(dtype=np.int64))
    by_reason = Counter(str(row["reason"]) for row in account.samples_left_out)
    kept_asvs = np.diff(table.counts.indptr)
    summary = Summary(
        headline=f"{main:,} samples"
        + (f" and {n - main:,} unlabelled ones" if n > main else "")
        + f" of {a:,} ASVs, rarefied to {table.depth:,} reads; {len(account.samples_left_out)} samples were left out.",
        numbers={
            "table.samples": main,
            "table.extra_samples": n - main,
            "table.asvs": a,
            "table.depth": table.depth,
            "table.reads_kept_share": reads / max(account.reads, 1),
            "table.samples_left_out": len(account.samples_left_out),
            "table.median_asvs_per_sample": float(np.median(kept_asvs)),
            "table.most_asvs_per_sample": int(kept_asvs.max()),
            "table.asvs_on_the_tree_share": account.on_tree / account.distinct_asvs,
            "table.sequence_bp": int(account.lengths_bp.max()),
            **{f"table.tree.{name}": account.tree.get(name, 0) for name in ("tips", *REPAIRS)},
        },
        tables={
            "What the files share": _overlap(table, account=account, by_reason=by_reason),
            "Repairs and remarks": _remarks(account),
            "Samples left out": account.samples_left_out,
        },
        figures={"Reads and ASVs of each sample": "figures/table.png"},
    )
    _checks(summary, table, account=account, settings=settings)
    return summary


def _overlap(table: SampleTable, *, account: Account, by_reason: Counter[str]) -> list[dict[str, Number]]:
    counts: dict[str, int] = {
        **{f"samples of {name}": count for name, count in account.samples.items()},
        "rows of the metadata": account.metadata_rows,
        **{f"samples left out: {reason}": count for reason, count in by_reason.items()},
        "samples kept": len(table),
        **{f"ASVs of {name}": count for name, count in account.asvs.items()},
        "different ASVs": account.distinct_asvs,
        "tips of the tree": account.tree["tips"],
        **{f"ASVs left out: {reason}": count for reason, count in account.asvs_left_out.items() if count},
        "ASVs kept": table.counts.shape[1],
        "reads of the samples kept": account.reads,
        "of these, of ASVs kept": int(table.whole.sum(dtype=np.int64)),
    }
    return [{"what": what, "count": count} for what, count in counts.items()]


def _remarks(account: Account) -> list[dict[str, Number]]:
    rows: list[dict[str, Number]] = [
        {"remark": f"tree: {words}", "count": account.tree[name]}
        for name, words in REPAIRS.items()
        if account.tree.get(name)
    ]
    rows += [{"remark": f"sequences: {words}", "count": count} for words, count in account.noticed.items() if count]
    rows += [{"remark": f"metadata: {sentence}", "count": None} for sentence in account.remarks]
    return rows


def _checks(summary: Summary, table: SampleTable, *, account: Account, settings: TableSettings) -> None:
    kept = float(summary.numbers["table.reads_kept_share"] or 0)
    asked = account.samples["the main table"]
    share = len(table.main) / asked
    summary.check(
        "most_reads_kept", kept >= FEWEST_READS, f"{kept:.1%} of the samples' {account.reads:,} reads are kept"
    )
    summary.check(
        "most_samples_kept",
        share >= FEWEST_SAMPLES,
        f"{len(table.main):,} of the main table's {asked:,} samples are kept at depth {settings.depth:,}",
    )
    mended = [
        f"{account.tree[name]} {words}"
        for name, words in REPAIRS.items()
        if account.tree.get(name) and name != "joined_tips"
    ]
    summary.check("tree_whole", not mended, "; ".join(mended) or "nothing had to be mended")
