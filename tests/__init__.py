"""A package, so that `tests.architecture.scan` is ours whatever else is installed."""
