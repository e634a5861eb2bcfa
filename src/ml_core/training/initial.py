"""Start a model from another one's weights: under other names, and only where every tensor is accounted for."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from torch import Tensor, nn

from ml_core.errors import UserError
from ml_core.training.checkpoint import load_weights
from ml_core.training.settings import TrainingSettings

log = logging.getLogger("ml_core.training")


def start_from(model: nn.Module, directory: Path, settings: TrainingSettings) -> None:
    """Copy weights and buffers from a checkpoint, an artifact or a run into `model`.

    A tensor of another shape counts as missing here and as unexpected there. Raises UserError, with the model as it
    was, if a tensor is missing or unexpected that no pattern of `init_missing` or `init_unexpected` covers.
    """
    theirs = renamed(load_weights(directory), settings.init_prefixes, directory)
    ours = model.state_dict()
    fitting = {name: tensor for name, tensor in theirs.items() if name in ours and ours[name].shape == tensor.shape}
    missing = [name for name in ours if name not in fitting and not _covered(name, settings.init_missing)]
    unexpected = [name for name in theirs if name not in fitting and not _covered(name, settings.init_unexpected)]
    if missing or unexpected:
        problems = [_difference(name, ours.get(name), theirs.get(name)) for name in sorted({*missing, *unexpected})]
        raise UserError(
            f"init_from: the weights in {directory} do not fit this model: {'; '.join(problems)}; rename with "
            "init_prefixes, or allow them with init_missing and init_unexpected."
        )
    if not fitting:
        raise UserError(f"init_from: no tensor in {directory} fits this model; check init_prefixes.")
    model.load_state_dict({**ours, **fitting})
    log.info("starts from %s: %d of %d tensors taken", directory, len(fitting), len(ours))


def renamed(tensors: Mapping[str, Tensor], prefixes: Mapping[str, str], directory: Path) -> dict[str, Tensor]:
    """The tensors under their own names here; with prefixes, only those under one, of which the longest counts.

    Raises UserError for a prefix that no tensor has, or if two tensors would get one name.
    """
    if not prefixes:
        return dict(tensors)
    for prefix in prefixes:
        if not any(name.startswith(prefix) for name in tensors):
            tops = ", ".join(dict.fromkeys(f"{name.split('.')[0]}." for name in tensors))
            raise UserError(f"init_prefixes: no tensor in {directory} begins with '{prefix}'; they begin with {tops}.")
    result: dict[str, Tensor] = {}
    for name, tensor in sorted(tensors.items()):
        fitting = [prefix for prefix in prefixes if name.startswith(prefix)]
        if not fitting:
            continue
        longest = max(fitting, key=len)
        new = prefixes[longest] + name[len(longest) :]
        if new in result:
            raise UserError(f"init_prefixes: two tensors in {directory} would become '{new}'; give each its own name.")
        result[new] = tensor
    return result


def _covered(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _difference(name: str, ours: Tensor | None, theirs: Tensor | None) -> str:
    here = "absent" if ours is None else list(ours.shape)
    there = "absent" if theirs is None else list(theirs.shape)
    return f"{name} (here {here}, there {there})"
