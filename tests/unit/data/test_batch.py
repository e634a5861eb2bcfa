from dataclasses import dataclass
from typing import NamedTuple

import torch

from ml_core.data.batch import to_device

META = torch.device("meta")


class Pair(NamedTuple):
    left: torch.Tensor
    name: str


@dataclass(frozen=True)
class Tile:
    nodes: torch.Tensor
    edges: dict[str, torch.Tensor]
    name: str


class MovesItself:
    def to(self, device, non_blocking):
        return ("moved", device)


def test_every_tensor_of_a_nested_batch_is_moved_and_the_rest_stays():
    one = torch.ones(1)
    batch = {"a": [one, (one, "name")], "pair": Pair(one, "p"), "tile": Tile(one, {"e": one}, "t"), "n": 3}
    moved = to_device(batch, META)
    tensors = [moved["a"][0], moved["a"][1][0], moved["pair"].left, moved["tile"].nodes, moved["tile"].edges["e"]]
    assert all(tensor.device == META for tensor in tensors)
    assert (moved["a"][1][1], moved["pair"].name, moved["tile"].name, moved["n"]) == ("name", "p", "t", 3)
    assert isinstance(moved["pair"], Pair)
    assert batch["a"][0].device.type == "cpu"


def test_a_batch_that_can_move_itself_is_asked_to():
    assert to_device([MovesItself()], META) == [("moved", META)]
