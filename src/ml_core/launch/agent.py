"""torchrun with its own reports in a file: python -m ml_core.launch.agent FOLDER ARGUMENTS_OF_TORCHRUN ...

It stands in a session of its own, so that Ctrl-C in a terminal reaches it once, passed on by whoever waits for it. What
the ranks print comes through: only this process writes into the file.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ml_core.launch.folder import AGENT_LOG, write_deaths


def main() -> int:
    if os.getpgrp() != os.getpid():
        os.setsid()
    folder, arguments = Path(sys.argv[1]), sys.argv[2:]
    sys.stderr = (folder / AGENT_LOG).open("w", buffering=1)
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    try:
        torchrun(arguments)
    except ChildFailedError as error:
        write_deaths(folder, {rank: failure.exitcode for rank, failure in error.failures.items()})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
