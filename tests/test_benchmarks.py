"""The benchmarks run, on little data; what they measure then means nothing."""

import sys
from pathlib import Path

import pytest
from helpers import run

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.mark.slow
def test_vectors(tmp_path: Path) -> None:
    done = run(
        sys.executable, BENCHMARKS / "vectors.py", "--scale", "0.005", "--rounds", "1", "--output", tmp_path / "v.md"
    )
    assert done.returncode == 0, done.stderr
    assert "| glove-bilstm, 100 wanted words |" in done.stdout
    assert done.stdout in (tmp_path / "v.md").read_text()


@pytest.mark.slow
def test_extra_words(tmp_path: Path, dataset_folder: Path, vectors_file: Path) -> None:
    options = ["--vectors", vectors_file, "--datasets", dataset_folder, "--seeds", "1", "--output", tmp_path / "e.md"]
    done = run(sys.executable, BENCHMARKS / "extra_words.py", *options)
    assert done.returncode == 0, done.stderr
    # All words of the vectors are words of the texts already.
    assert f"| {dataset_folder.name} | 80,000 | 21 | 0.0 MB | 0.00%, 0.00% |" in done.stdout


@pytest.mark.slow
def test_speed(tmp_path: Path) -> None:
    done = run(
        sys.executable, BENCHMARKS / "speed.py", "--share", "0.01", "--repeats", "1", "--data", tmp_path / "none",
        "--output", tmp_path / "speed.md",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    table = (tmp_path / "speed.md").read_text()
    assert table.partition("\n![")[0] in done.stdout and table.count("\n## ") == 10
    assert "| glove-bilstm, tuned, bfloat16 |" in table and "nan" not in table
    assert (tmp_path / "speed.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.slow
def test_deploy(tmp_path: Path) -> None:
    done = run(
        sys.executable, BENCHMARKS / "deploy.py", "--share", "0.01", "--repeats", "1", "--data", tmp_path / "none",
        "--output", tmp_path / "deploy.md",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "deploy.md").read_text()
    assert text in done.stdout and "| int8, 10,000 words |" in text and "nan" not in text
