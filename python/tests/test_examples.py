"""The examples run, and their types are right."""

import pathlib
import runpy
import subprocess
import sys

import pytest

EXAMPLES = sorted((pathlib.Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(path, monkeypatch, capsys, tmp_path):
    arguments = [str(path)]
    if path.stem == "flights":
        import matplotlib

        matplotlib.use("Agg")
        data = path.parents[2] / "cli/data/nycflights13/flights.parquet"
        arguments += [str(data), str(tmp_path / "delays.png")]
    monkeypatch.setattr(sys, "argv", arguments)
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out
    if path.stem == "flights":
        assert (tmp_path / "delays.png").stat().st_size > 1000


def test_examples_are_typed(tmp_path):
    config = pathlib.Path(__file__).parents[1] / "pyproject.toml"
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(config)]
    command += ["--cache-dir", str(tmp_path), *map(str, EXAMPLES)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
