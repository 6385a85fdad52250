"""Every code block of the README runs, as it stands."""

import csv
import gzip
import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from documents import ROOT, code_blocks, reader_environment
from helpers import run
from loopback_hub import serve_hub

BLOCKS = code_blocks((ROOT / "README.md").read_text(encoding="utf-8"))
MAKE_BLOCKS = [block for language, block in BLOCKS if language == "bash" and block.startswith("make ")]


def test_every_block_is_run_by_a_test() -> None:
    """Shell and Python blocks run below; plain text is output, or the file tree."""
    assert {language for language, _ in BLOCKS} == {"bash", "python", "text"}
    assert [language for language, _ in BLOCKS].count("python") == 7
    assert len(MAKE_BLOCKS) == 1
    assert not re.search(r"@[A-Z]+\d*@", (ROOT / "README.md").read_text()), "a figure is still to be filled in"


def test_the_two_commands_are_what_ci_runs() -> None:
    """`make test` can't run inside itself, so .ci/run runs the first block's commands."""
    commands = [line.split("#")[0].strip() for line in MAKE_BLOCKS[0].strip().splitlines()]
    assert commands == ["make demo", "make test"]
    assert set(commands) <= set((ROOT / ".ci" / "run").read_text().splitlines())


@pytest.mark.slow
def test_the_other_blocks_in_their_order(
    tmp_path: Path, make_rows: Callable, dataset_folder: Path, vectors_file: Path
) -> None:
    """In a folder that holds what the README says a reader has."""
    home = tmp_path / "home"
    home.mkdir()
    for name, count in (("reviews", 80), ("held-out", 20), ("validation", 20)):
        lines = [f'"{row["text"]}",{row["label"]}' for row in make_rows(count, 1)]
        (home / f"{name}.csv").write_text("\n".join(["review,verdict", *lines]) + "\n")
    (home / "unlabelled.csv").write_text("review\ngood\nbad\n")
    # Where a file is put that can't be fetched.
    by_hand = tmp_path / ".cache" / "huggingface" / "glove_bilstm" / "vectors"
    by_hand.mkdir(parents=True)
    with zipfile.ZipFile(by_hand / "glove.6B.zip", "w") as archive:
        for dim in ("50d", "100d"):
            archive.writestr(f"glove.6B.{dim}.txt", vectors_file.read_bytes())
    shared = tmp_path / "shared" / "data"
    (shared / "vectors").mkdir(parents=True)
    (shared / "sst2").symlink_to(dataset_folder)
    (shared / "vectors" / "glove.reviews.300d.txt.gz").write_bytes(gzip.compress(vectors_file.read_bytes()))

    shell = reader_environment(tmp_path)
    python = []
    with serve_hub() as hub:
        hub.user = "you"
        for language, block in BLOCKS:
            environment = shell | hub.environment(tmp_path / "hub") if "you/" in block else shell
            if language == "bash" and block not in MAKE_BLOCKS:
                done = run("bash", "-euo", "pipefail", "-c", block, cwd=home, env=environment)
                assert done.returncode == 0, done.stderr
            elif language == "python" and "you/" in block:
                done = run(sys.executable, "-c", block, cwd=home, env=environment)
                assert done.returncode == 0, done.stderr
            elif language == "python":
                python.append(block)
        assert hub.repositories["you/my-model"].private
    with (home / "labelled.csv").open(newline="") as file:
        assert [row["prediction"] for row in csv.DictReader(file)] == ["pos", "neg"]
    for block in python:
        done = run(sys.executable, "-c", block, cwd=home, env=shell)
        assert done.returncode == 0, done.stderr
