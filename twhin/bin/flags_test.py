# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The flags that name a run, through a command that has them all."""

from pathlib import Path

import pytest

from twhin.testing.command_process import run_python

# build: needs //twhin/bin:prepare
_MODULE = "twhin.bin.prepare"
_CONFIG = """\
graph:
  entity_types: [{name: user}]
  relations: [{name: follows, lhs: user, rhs: user}]
data: {raw: {train: {paths: edges.csv}}}
"""


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "graph.yaml").write_text(_CONFIG)
    return tmp_path


def _print_config(folder: Path, *flags: str) -> str:
    done = run_python("-m", _MODULE, "--print_config", *flags, folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_printed_configuration_is_resolved_and_prints_itself(folder: Path) -> None:
    text = _print_config(folder, "--config=configs/graph.yaml")

    assert f"  root: {folder}/configs\n" in text
    assert "  num_epochs: 10\n" in text
    (folder / "again.yaml").write_text(text)
    assert _print_config(folder, "--config=again.yaml") == text


def test_printing_the_configuration_writes_nothing(folder: Path) -> None:
    before = sorted(folder.rglob("*"))

    _print_config(folder, "--config=configs/graph.yaml", "--output_dir=run")

    assert sorted(folder.rglob("*")) == before


def test_without_a_configuration_it_is_the_demonstration(folder: Path) -> None:
    assert "  demo:\n    num_users: 8000\n" in _print_config(folder)


def test_overrides_apply_in_order(folder: Path) -> None:
    text = _print_config(
        folder,
        "--config=configs/graph.yaml",
        "--override=training.num_epochs=3",
        "--override=training.num_epochs=4",
        "--override=evaluation.hits_at=[7]",
    )

    assert "  num_epochs: 4\n" in text
    assert "  hits_at:\n    - 7\n" in text


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        ("data", "{folder}/data"),
        ("/a b: c", "'/a b: c'"),
        ("s3://bucket/x", "s3://bucket/x"),
    ],
)
def test_data_root_starts_from_the_working_directory(
    folder: Path, root: str, expected: str
) -> None:
    text = _print_config(folder, "--config=configs/graph.yaml", f"--data_root={root}")

    assert f"  root: {expected.format(folder=folder)}\n" in text


def test_output_goes_to_a_folder_with_the_name_of_the_configuration(
    folder: Path,
) -> None:
    (folder / "configs" / "edges.csv").write_text("lhs,rel,rhs\na,follows,b\n")

    done = run_python(
        "-m",
        _MODULE,
        "--config=configs/graph.yaml",
        "--num_threads=1",
        "--memory_limit=200MB",
        folder=folder,
    )

    assert done.returncode == 0, done.stderr
    assert (folder / "outputs" / "graph" / "prepared" / "manifest.json").is_file()


def test_all_faults_are_lines_on_stderr(folder: Path) -> None:
    done = run_python(
        "-m",
        _MODULE,
        "--config=configs/graph.yaml",
        "--override=training.num_epochs=0",
        "--override=loss.temperature=0",
        folder=folder,
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "loss.temperature: 0.0 is out of range; allowed: (0, inf)\n"
        "training.num_epochs: 0 is too small; allowed: at least 1\n"
    )
