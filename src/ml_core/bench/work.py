"""One case in a process of its own: python -m ml_core.bench.work MODULE:FUNCTION OUT OPTIONS [--quick]."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import sys
import traceback
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ml_core.bench.case import Request, Row
from ml_core.bench.turns import one_sentence


def main() -> int:
    """Write what the function returns to OUT: its rows, a mapping, or in one sentence why it failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("function")
    parser.add_argument("out", type=Path)
    parser.add_argument("options", type=json.loads)
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    logging.getLogger("ml_core").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    module, function = asked.function.split(":")
    found: Any
    try:
        found = getattr(importlib.import_module(module), function)(Request(asked.quick, asked.options))
    except Exception as error:
        traceback.print_exc()
        found = {"failed": one_sentence(error)}
    if not isinstance(found, dict):
        found = [asdict(row) for row in found if isinstance(row, Row)]
    asked.out.write_text(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
