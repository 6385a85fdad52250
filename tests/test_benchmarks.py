"""The benchmarks run, on little data; what they measure then means nothing."""

import re
import sys
from pathlib import Path

import pytest
import torch
from helpers import run

from glove_bilstm.modeling.modeling_glove_bilstm import cpu_computes_in

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


def on_a_hundredth(script: str, tmp_path: Path) -> tuple[str, str]:
    """What a benchmark of the bundled reviews prints, and what it writes."""
    options = ["--share", "0.01", "--repeats", "1", "--data", tmp_path / "none", "--output", tmp_path / "table.md"]
    done = run(sys.executable, BENCHMARKS / script, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout, (tmp_path / "table.md").read_text()


@pytest.mark.slow
def test_speed(tmp_path: Path) -> None:
    printed, table = on_a_hundredth("speed.py", tmp_path)
    assert table.partition("\n![")[0] in printed and table.count("\n## ") == 10
    assert ("| glove-bilstm, tuned, bfloat16 |" in table) == cpu_computes_in(torch.bfloat16) and "nan" not in table
    difference = re.search(r"largest difference of a logit is (\S+)\.\n", table)
    assert difference is not None and 0 < float(difference[1]) < 0.1  # or one model was compared with itself
    assert (tmp_path / "table.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.slow
def test_deploy(tmp_path: Path) -> None:
    printed, table = on_a_hundredth("deploy.py", tmp_path)
    assert table in printed and "| int8, 10,000 words |" in table and "nan" not in table
