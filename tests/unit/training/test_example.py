import textwrap

import ml_core.training


def test_the_example_in_the_documentation_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    example = ml_core.training.__doc__.split("A whole use:\n\n")[1].split("\n\nCalling")[0]
    names = {}
    exec(textwrap.dedent(example), names)  # noqa: S102 - our own text
    assert names["result"].history[-1]["val_mae"] < 0.1
    assert (tmp_path / "runs/line/logs/metrics.csv").exists()
