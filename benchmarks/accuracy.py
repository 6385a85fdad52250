"""Accuracy on four public data sets: this package's strategies, and baselines that read the same splits.

    python benchmarks/accuracy.py                               # every row that is missing, cheap data sets first
    python benchmarks/accuracy.py --row sst2/frozen --seed 0    # one row; sst2/frozen/1000 with 1,000 training texts
    python benchmarks/accuracy.py --table                       # the table again, from the results so far

A row is appended to accuracy.jsonl as soon as it is measured, so the benchmark can be interrupted, and several can run
at once. The protocol: validation is the data set's own or, where it has none, 10 % cut from train, by class, seed 42,
the same for all rows; whatever is chosen, is chosen on validation; the test split is read once for each row and seed.
The data and the vectors aren't part of the package: `--data` is a folder with a folder for each data set.
"""

import argparse
import itertools
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from accuracy_table import table


@dataclass(frozen=True)
class DataSet:
    """How a data set is trained on and measured.

    Attributes:
        metric: What is compared, and chosen by on validation.
        vectors: The file of vectors, in the folder `vectors` beside the data sets.
        flags: Of `glove-bilstm train`.
        classic: More of them, beside `--recipe classic`, for all texts.
        tuned: More of them, beside `--recipe tuned`, for all texts; chosen by validation figures alone.
    """

    metric: str = "accuracy"
    vectors: str = "glove.reviews.300d.txt.gz"
    flags: tuple[str, ...] = ()
    classic: tuple[str, ...] = ()
    tuned: tuple[str, ...] = ()


DATA_SETS = {  # the cheapest first
    "trec": DataSet(),
    "sst2": DataSet(),
    "goemotions": DataSet(
        metric="f1",
        tuned=("--learning_rate", "2e-3", "--embedding_learning_rate", "6e-4", "--num_train_epochs", "8"),
    ),
    # For time: training texts are cut, and the LSTM's products are rounded to bfloat16, on validation and test too.
    "imdb": DataSet(flags=("--max_length", "400", "--bf16", "True"), classic=("--num_train_epochs", "4")),
}
BASELINES = ("majority", "tfidf", "mean")
PACKAGE = {
    "random": ("--recipe", "classic", "--embedding_strategy", "finetune"),  # with random vectors of the same words
    "frozen": ("--recipe", "classic", "--embedding_strategy", "frozen"),
    "finetune": ("--recipe", "classic", "--embedding_strategy", "finetune"),
    "two_stage": ("--recipe", "classic", "--embedding_strategy", "two_stage"),
    "tuned": ("--recipe", "tuned"),
}
SMALL = 1_000
"""Training texts of the low-data regime."""
SPLIT_SEED = 42
SEEDS = 3
METRICS = ("accuracy", "f1", "micro_f1")
COLUMNS = (
    *("row", "seed", "command", "commit", "vectors", "coverage", "validation", "test", "chosen"),
    *("seconds", "megabytes", "epochs", "steps", "threads", "date", "machine"),
)
"""What a line of the results holds, in this order; null where there is no such thing."""
VERSIONS = ("torch", "transformers", "scikit-learn")
RESULTS = Path(__file__).with_suffix(".jsonl")


@dataclass(frozen=True)
class Run:
    """A row of the table and a seed."""

    dataset: str
    method: str
    small: bool
    seed: int

    @property
    def row(self) -> str:
        return f"{self.dataset}/{self.method}" + f"/{SMALL}" * self.small


def planned(datasets: list[str], seeds: int) -> Iterator[Run]:
    """Every run, so ordered that a data set has all its rows with one seed before the next."""
    for dataset in datasets:
        for seed in range(seeds):
            for small in (True, False):
                for method in (*BASELINES, *PACKAGE):
                    if small or seed == 0 or method in PACKAGE:  # with all texts the baselines know no chance
                        yield Run(dataset, method, small, seed)


def load_splits(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The texts and labels of each split; validation is cut from train where there is none."""
    from glove_bilstm.training.datasets import load_labelled_texts, load_raw_splits

    raw = load_raw_splits(folder)
    if "validation" in raw:
        columns = {
            name: (split.texts("text").to_pylist(), split.column("label").to_pylist()) for name, split in raw.items()
        }
    else:
        data = load_labelled_texts(
            folder, text_column="text", label_column="label", validation_share=0.1, seed=SPLIT_SEED
        )
        columns = {
            name: (split["text"], [data.labels[label] for label in split["label"]])
            for name, split in data.splits.items()
        }
    return {
        name: [{"text": text, "label": label} for text, label in zip(*both, strict=True)]
        for name, both in columns.items()
    }


def draw(rows: list[dict[str, Any]], number: int, seed: int) -> list[dict[str, Any]]:
    """Draw rows by class; one with several labels belongs to its rarest."""
    from sklearn.model_selection import train_test_split

    labels = [row["label"] if isinstance(row["label"], list) else [row["label"]] for row in rows]
    counts = Counter(label for of_row in labels for label in of_row)
    classes = [min(of_row, key=lambda label: (counts[label], label)) for of_row in labels]
    return train_test_split(rows, train_size=number, stratify=classes, random_state=seed)[0]


def prepare(run: Run, data: Path, work: Path) -> Path:
    """The folder with the splits of a run: the data set's own, or one that is written into the work folder."""
    from filelock import FileLock

    own = data / run.dataset
    if not run.small and any(own.glob("validation.*")):
        return own
    folder = work / (f"{run.dataset}-{SMALL}-seed{run.seed}" if run.small else run.dataset)
    with FileLock(work / "lock"):  # another row may want it at the same time
        if not folder.exists():
            splits = load_splits(own)
            if run.small:
                splits["train"] = draw(splits["train"], SMALL, run.seed)
            incomplete = work / "incomplete"
            shutil.rmtree(incomplete, ignore_errors=True)
            incomplete.mkdir()
            for name, rows in splits.items():
                lines = "".join(json.dumps(row) + "\n" for row in rows)
                (incomplete / f"{name}.jsonl").write_text(lines, encoding="utf-8")
            incomplete.rename(folder)
    return folder


def random_vectors(vectors: Path, work: Path) -> Path:
    """A file of the same words with vectors drawn from a normal distribution of the same standard deviation."""
    import numpy as np
    from filelock import FileLock

    from glove_bilstm import load_vectors
    from glove_bilstm.vectors.safetensors_file import save_vectors

    file = work / f"random-{vectors.name.partition('.txt')[0]}.safetensors"
    with FileLock(work / "lock"):
        if not file.exists():
            loaded = load_vectors(vectors)
            drawn = np.random.default_rng(SPLIT_SEED).normal(0, loaded.matrix.std(), loaded.matrix.shape)
            incomplete = file.with_suffix(".incomplete")
            save_vectors(incomplete, loaded.words, drawn.astype(np.float32))
            incomplete.rename(file)
    return file


def measure_baseline(run: Run, folder: Path, vectors: Path) -> dict[str, Any]:
    """Run one of the baselines in this process."""
    from accuracy_baselines import run_baseline

    command = ["python", "benchmarks/accuracy.py", "--row", run.row, "--seed", str(run.seed)]
    result = run_baseline(run.method, load_splits(folder), vectors, DATA_SETS[run.dataset].metric)
    return {"command": shlex.join(command), "vectors": vectors.name if run.method == "mean" else None, **result}


def measure_package(run: Run, folder: Path, vectors: Path, work: Path) -> dict[str, Any]:
    """Train with the command that a user would type, read what it wrote, and remove it.

    Raises:
        subprocess.CalledProcessError: The command failed; it has printed why.
    """
    from glove_bilstm.training.checkpoints import find_checkpoints

    if run.method == "random":
        vectors = random_vectors(vectors, work)
    output = work / f"{run.row.replace('/', '-')}-seed{run.seed}"
    where = ["--dataset", str(folder), "--vectors", str(vectors), "--output_dir", str(output)]
    dataset = DATA_SETS[run.dataset]
    of_all_texts = dataset.tuned if run.method == "tuned" else dataset.classic
    flags = dataset.flags + (() if run.small else of_all_texts)
    how = [*PACKAGE[run.method], *flags, "--seed", str(run.seed)]
    command = ["glove-bilstm", "train", *where, *how]
    print(shlex.join(command), file=sys.stderr)
    shutil.rmtree(output, ignore_errors=True)  # of an interrupted run
    try:
        module = [sys.executable, "-m", "glove_bilstm.scripts.main", *command[1:]]
        subprocess.run(module, check=True, stdout=sys.stderr)
        results = json.loads((output / "all_results.json").read_text(encoding="utf-8"))
        coverage = json.loads((output / "coverage.json").read_text(encoding="utf-8"))
        best = json.loads((find_checkpoints(output)[-1] / "trainer_state.json").read_text(encoding="utf-8"))
        return {
            "command": shlex.join(command),
            "vectors": vectors.name,
            "coverage": coverage["test"]["token_share"],
            **{
                split: {name: results[prefix + name] for name in METRICS if prefix + name in results}
                for split, prefix in (("validation", "eval_"), ("test", "test_"))
            },
            "seconds": results["train_runtime"],
            "megabytes": (output / "model.safetensors").stat().st_size / 1e6,
            "epochs": results["epoch"],
            # The checkpoint that is left is the best, not the last.
            "steps": round(results["epoch"] * best["global_step"] / best["epoch"]),
        }
    finally:
        shutil.rmtree(output, ignore_errors=True)


def commit() -> str:
    """The commit that is measured, marked where the sources differ from it."""
    here = Path(__file__).parent.parent

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=here, check=True, capture_output=True, text=True).stdout.strip()

    # Results, documents and tests can't change what is measured.
    changed = git("status", "--porcelain", "--", ".", ":!benchmarks/*.jsonl", ":!*.md", ":!tests")
    return git("rev-parse", "HEAD") + "-changed" * bool(changed)


def append(file: Path, result: dict[str, Any]) -> None:
    """Append a line, whole, in one write, so that two processes can."""
    line = json.dumps(result) + "\n"
    with file.open("ab", buffering=0) as opened:
        opened.write(line.encode())
        os.fsync(opened.fileno())


def read(file: Path) -> list[dict[str, Any]]:
    """The results so far."""
    if not file.exists():
        return []
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def figures(run: Run, result: dict[str, Any]) -> str:
    """A result in words."""
    metric = DATA_SETS[run.dataset].metric
    both = ", ".join(f"{split} {result[split][metric]:.4f}" for split in ("validation", "test"))
    return f"{run.row}, seed {run.seed}: {metric} {both}"


def measure(run: Run, options: argparse.Namespace) -> None:
    """Do a run, and append its result."""
    from glove_bilstm.hub.assessment import processor_name  # here, for the package takes seconds to import

    options.work.mkdir(parents=True, exist_ok=True)
    vectors = options.vectors or options.data / "vectors" / DATA_SETS[run.dataset].vectors
    measured_commit = commit()
    folder = prepare(run, options.data, options.work)
    if run.method in PACKAGE:
        result = measure_package(run, folder, vectors, options.work)
    else:
        result = measure_baseline(run, folder, vectors)
    result |= {
        "row": run.row,
        "seed": run.seed,
        "commit": measured_commit,
        "seconds": round(result["seconds"], 1),
        "megabytes": round(result["megabytes"], 3),
        "threads": int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": ", ".join([processor_name(), *(f"{name} {version(name)}" for name in VERSIONS)]),
    }
    append(options.results, {name: result.get(name) for name in COLUMNS})
    print(f"{figures(run, result)}, {result['seconds']:.0f} s", file=sys.stderr)


def main(argv: list[str] | None = None) -> int:
    """Measure what is missing, or one row; write the table."""
    shared = Path("../shared/data")
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--row", help="measure this row alone, for instance sst2/frozen or sst2/frozen/1000")
    parser.add_argument("--seed", type=int, default=0, help="of that row; default: 0")
    parser.add_argument("--table", action="store_true", help="write the table of what was measured, and stop")
    parser.add_argument("--datasets", nargs="+", choices=DATA_SETS, default=list(DATA_SETS), help="default: all")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"default: {SEEDS}")
    parser.add_argument("--data", type=Path, default=shared, help=f"folder of the data sets; default: {shared}")
    parser.add_argument(
        "--vectors", type=Path, help="file of vectors, for other --results; default: glove.reviews.300d"
    )
    parser.add_argument("--work", type=Path, default=Path("out/accuracy"), help="default: out/accuracy")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the table goes beside it, as .md")
    options = parser.parse_args(argv)

    runs = [] if options.table else list(planned(options.datasets, options.seeds))
    if options.row:
        every = itertools.product(DATA_SETS, (*BASELINES, *PACKAGE), (False, True), [options.seed])
        runs = [run for run in itertools.starmap(Run, every) if run.row == options.row]
        if not runs:
            parser.error(
                f"there is no row {options.row}; a row is one of {', '.join(DATA_SETS)}, a slash, one of "
                f"{', '.join((*BASELINES, *PACKAGE))} and, to train on {SMALL} texts, /{SMALL}"
            )
    failed = []
    for run in runs:
        # Read again every time: another process may have measured it in the meantime.
        known = [result for result in read(options.results) if (result["row"], result["seed"]) == (run.row, run.seed)]
        if known:
            if options.row:
                print(f"{figures(run, known[-1])}: read in {options.results}; other --results measure it again")
            continue
        try:
            measure(run, options)
        except subprocess.CalledProcessError:
            failed.append(f"{run.row}, seed {run.seed}")
    metrics = {name: dataset.metric for name, dataset in DATA_SETS.items()}
    options.results.with_suffix(".md").write_text(
        table(read(options.results), metrics, SMALL, options.seeds), encoding="utf-8"
    )
    for what in failed:
        print(f"{what}: the command failed", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. The same command goes on with what is missing.")
