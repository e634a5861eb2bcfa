"""What is measured of the library itself, and of all families alike."""

from __future__ import annotations

from ml_core.bench.case import Case

CASES = (
    Case("loop-overhead", "the training loop beside a bare one and Lightning's", "ml_core.bench.loop_overhead:rows"),
    Case("data-loading", "each family's loader beside its model's step", "ml_core.bench.data_loading:rows"),
    Case("list", "python -m ml_core list", "ml_core.bench.doors:list_rows"),
    Case("cache", "materializing unchanged families through Dagster", "ml_core.bench.doors:cache_rows"),
    Case("cli", "one stage through Dagster beside an empty module", "ml_core.bench.doors:cli_rows"),
)
