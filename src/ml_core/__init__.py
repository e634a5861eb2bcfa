"""bioassets' library: stages, artifacts, training and the model families, in plain Python and PyTorch.

Nothing here imports Dagster. `python -m ml_core` is the shell's door; `dagster_definitions` is Dagster's.
"""
