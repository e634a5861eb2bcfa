"""The scan sees what the architecture tests rely on it to see."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.scan import Import, imports, unsafe_loads


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import a.b", Import("a.b", 1)),
        ("from a import b as c", Import("a.b", 1)),
        ("from . import b", Import("..b", 1)),
        ("try:\n    import a\nexcept ImportError:\n    pass", Import("a", 2)),
        ("class C:\n    import a", Import("a", 2)),
        ("def f():\n    import a", Import("a", 2, deferred=True)),
        ("async def f():\n    if x:\n        from a import b", Import("a.b", 3, deferred=True)),
    ],
)
def test_an_import_is_seen_wherever_it_stands(source: str, expected: Import) -> None:
    assert imports(ast.parse(source)) == [expected]


def test_an_import_for_the_type_checker_does_not_count() -> None:
    source = "if TYPE_CHECKING:\n    import a\nelse:\n    import b"
    assert imports(ast.parse(source)) == [Import("b", 4)]


def test_a_package_is_not_taken_for_another_that_begins_alike() -> None:
    assert Import("ml_core.families.hgt.model", 1).below("ml_core.families.hgt")
    assert not Import("ml_core.families.hgt2", 1).below("ml_core.families.hgt")


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\npickle.load(file)",
        "import pickle as p\np.Unpickler(file)",
        "import pickle\nread(file, pickle)",
        "from pickle import load",
        "def f():\n    import joblib\n    return joblib.load(path)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=flag)",
        "from torch import load as read\nread(path)",
        "np.load(path, allow_pickle=True)",
        "pd.read_pickle(path)",
        "pd.read_hdf(path)",
        "torch.jit.load(path)",
        "yaml.load(text, Loader=yaml.Loader)",
        "yaml.unsafe_load(text)",
        "archive.extractall(folder)",
        "eval(text)",
        "subprocess.run(text, shell=True)",
    ],
)
def test_unpickling_is_found(source: str) -> None:
    assert len(unsafe_loads(ast.parse(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "torch.load(path, weights_only=True)",
        "np.load(path)",
        "np.load(path, allow_pickle=False)",
        "json.load(file)",
        "yaml.safe_load(text)",
        "model.eval()",
        "archive.extract(member, folder)",
        "import pickle\ntry:\n    read()\nexcept pickle.UnpicklingError:\n    pass",
        "from pickle import UnpicklingError",
    ],
)
def test_safe_loading_is_left_alone(source: str) -> None:
    assert unsafe_loads(ast.parse(source)) == []
