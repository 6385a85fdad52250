"""How fast, and in how much memory, word vectors are read: this package, gensim, and merely counting lines.

    make install
    .venv/bin/python benchmarks/vectors.py --output benchmarks/vectors.md

Every measurement is a process of its own; they take turns, several rounds of them, and medians are compared, so that a
busy machine slows all of them alike. Files are generated: words of random letters, most frequent first, and normally
distributed numbers with five significant digits, as GloVe's files have them. The largest takes 6 GB of disk, and is
removed afterwards. Reading it needs Linux, for the peak of memory.
"""

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

POOL = 4_000
"""Different rows of numbers in a generated file; words are all different."""


def generate(path: Path, rows: int, dim: int) -> None:
    """Write a GloVe text file."""
    import numpy as np

    numbers = [
        " ".join(f"{value:.5g}" for value in row) for row in np.random.default_rng(0).normal(0, 0.4, (POOL, dim))
    ]
    choose = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        for row in range(rows):
            file.write(f"{word(row)} {numbers[choose.randrange(POOL)]}\n")


def word(row: int) -> str:
    """The word of a row: 1 to 5 letters, another one for every row."""
    letters = ""
    while True:
        letters += chr(ord("a") + row % 26)
        row //= 26
        if row == 0:
            return letters


def wanted(rows: int, number: int) -> list[str]:
    """Words from all over a file."""
    return [word(row) for row in range(0, rows, rows // number)]


def measure(what: str, path: str, rows: int, number: int) -> None:
    """Do one thing in this process; print its seconds and the peak of this process's memory."""
    result: object
    if what == "nothing":
        seconds, result = 0.0, None
    elif what == "count":
        start = time.perf_counter()
        with open(path, "rb") as file:
            result = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
        seconds = time.perf_counter() - start
    elif what == "gensim":
        from gensim.models import KeyedVectors

        start = time.perf_counter()
        result = KeyedVectors.load_word2vec_format(path, no_header=True).vectors.shape
        seconds = time.perf_counter() - start
    else:
        from glove_bilstm.vectors.word_vectors import load_vectors

        words = wanted(rows, number) if number else None
        start = time.perf_counter()
        result = load_vectors(path, words, use_cache=what == "cached").matrix.shape
        seconds = time.perf_counter() - start
    with open("/proc/self/status") as status:
        (peak,) = [int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM")]
    print(json.dumps({"seconds": seconds, "peak": peak, "result": result}))


def run(what: str, path: Path, rows: int = 0, number: int = 0, home: Path | None = None) -> dict[str, float]:
    """Measure in a new process."""
    environment = os.environ | ({"HF_HOME": str(home)} if home else {})
    command = [sys.executable, __file__, "--measure", what, str(path), str(rows), str(number)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


class Measurements:
    """Seconds and peaks of several rounds, by what was measured."""

    def __init__(self) -> None:
        self.rounds: dict[str, list[dict[str, float]]] = {}

    def add(self, name: str, measured: dict[str, float]) -> None:
        self.rounds.setdefault(name, []).append(measured)
        print(f"{name}: {measured['seconds']:.3f} s, {measured['peak']:.0f} MB", file=sys.stderr)

    def median(self, name: str, key: str = "seconds") -> float:
        return statistics.median(measured[key] for measured in self.rounds[name])


def benchmark(folder: Path, rounds: int, scale: float) -> str:
    """Measure everything; the table, in Markdown."""
    measured = Measurements()
    small, small_rows, small_number = folder / "small.txt", int(400_000 * scale), int(20_000 * scale)
    generate(small, small_rows, 100)
    for turn in range(rounds):
        measured.add("nothing", run("nothing", small))
        measured.add("count", run("count", small))
        measured.add("some", run("read", small, small_rows, small_number))
        measured.add("gensim", run("gensim", small))
        measured.add("whole", run("read", small))
        for name, number in (("some", small_number), ("whole", 0)):
            home = folder / f"home{turn}"
            measured.add(f"{name} first", run("cached", small, small_rows, number, home))
            measured.add(f"{name} again", run("cached", small, small_rows, number, home))
        shutil.rmtree(home)
    small_size = small.stat().st_size
    small.unlink()
    large, large_rows, large_number = folder / "large.txt", int(2_200_000 * scale), int(50_000 * scale)
    generate(large, large_rows, 300)
    for _ in range(min(rounds, 3)):
        measured.add("count large", run("count", large))
        measured.add("large", run("read", large, large_rows, large_number))
    large_size = large.stat().st_size
    large.unlink()

    bare = measured.median("nothing", "peak")

    def peak(name: str) -> float:
        return measured.median(name, "peak") - bare

    def ratio(slow: str, fast: str) -> str:
        return f"{measured.median(slow) / measured.median(fast):.1f}"

    def row(label: str, name: str, compared: str) -> str:
        return f"| {label} | {measured.median(name):.3f} s | {peak(name):.0f} MB | {compared} |"

    matrix = small_rows * 100 * 4 / 1e6
    some, whole = f"{small_number:,} wanted words", "all words"
    lines = [
        "| what | median time | peak memory above the bare interpreter's | compared |",
        "|---|---|---|---|",
        f"| **{small_rows:,} × 100, text, {small_size / 1e6:,.0f} MB** | | | |",
        row("counting newlines", "count", ""),
        row(f"glove-bilstm, {some}", "some", f"gensim takes {ratio('gensim', 'some')} × as long; counting "
            f"newlines takes 1 / {ratio('some', 'count')} of its time"),
        row(f"glove-bilstm, {whole}", "whole", f"gensim takes {ratio('gensim', 'whole')} × as long; peak "
            f"{peak('whole') * 1.048576 / matrix:.2f} × the matrix"),
        row(f"gensim, {whole} (it has no other way)", "gensim", f"peak {peak('gensim') * 1.048576 / matrix:.2f} × the "
            "matrix"),
        row(f"glove-bilstm, {some}, first time, writing the cache", "some first", ""),
        row(f"glove-bilstm, {some}, from the cache", "some again", f"{ratio('some first', 'some again')} × faster "
            "than the first time"),
        row(f"glove-bilstm, {whole}, first time, writing the cache", "whole first", f"gensim takes "
            f"{ratio('gensim', 'whole first')} × as long"),
        row(f"glove-bilstm, {whole}, from the cache", "whole again", f"{ratio('whole first', 'whole again')} × faster "
            "than the first time"),
        f"| **{large_rows:,} × 300, text, {large_size / 1e6:,.0f} MB** | | | |",
        row("counting newlines", "count large", ""),
        row(f"glove-bilstm, {large_number:,} wanted words", "large", f"counting newlines takes 1 / "
            f"{ratio('large', 'count large')} of its time; "
            f"{measured.median('large', 'peak'):.0f} MB in all"),
    ]  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, and write it to a file if one is given."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, help="write the table to this file, too")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--scale", type=float, default=1.0, help="of the files' rows; default: 1")
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        what, path, rows, number = options.measure
        measure(what, path, int(rows), int(number))
        return
    with tempfile.TemporaryDirectory() as folder:
        table = benchmark(Path(folder), options.rounds, options.scale)
    print(table)
    if options.output:
        from importlib.metadata import version

        versions = ", ".join(f"{name} {version(name)}" for name in ("gensim", "numpy", "pyarrow"))
        options.output.write_text(
            "# Reading word vectors\n\n"
            f"`python benchmarks/vectors.py --rounds {options.rounds}`: medians of {options.rounds} rounds, every "
            f"measurement in a process of its own, taking turns; {os.cpu_count()} cores, Python "
            f"{platform.python_version()}, {versions}; files in the page cache.\n\n{table}\n",
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
