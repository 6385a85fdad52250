"""What the tests share: everything is made here, tiny and odd-sized, and nothing is fetched."""

# Set before any Hugging Face library is imported: the tests must not depend on a network.
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from helpers import BAD, FILLERS, GOOD, TINY, write_jsonl

from glove_bilstm.scripts.main import main

if TYPE_CHECKING:
    from loopback_hub import Hub

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"  # the models are tiny, and the tests run side by side
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
# Some tests interrupt a process, which would inherit that interruptions are ignored, as they are in background jobs.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Hide a GPU from all but its own tests: on a GPU sums are added in no fixed order, and tests compare bits."""
    if config.option.markexpr != "gpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


WORDS = [*FILLERS, *GOOD, *BAD]


@pytest.fixture(scope="session", autouse=True)
def _own_caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep data sets and remote code that tests load out of the user's own caches."""
    import datasets.config
    from huggingface_hub import constants
    from transformers import dynamic_module_utils
    from transformers.utils import hub

    cache = tmp_path_factory.mktemp("cache")
    patch = pytest.MonkeyPatch()
    patch.setenv("HF_HOME", str(cache))
    patch.setattr(constants, "HF_HOME", str(cache))
    patch.setattr(constants, "HF_HUB_CACHE", str(cache / "hub"))
    patch.setattr(datasets.config, "HF_DATASETS_CACHE", cache / "datasets")
    for module in (dynamic_module_utils, hub):
        patch.setattr(module, "HF_MODULES_CACHE", str(cache / "modules"))
    yield
    patch.undo()


@pytest.fixture(scope="session")
def vectors_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GloVe text file: 7 dimensions; good and bad words lie apart; a last row <unk>, as GloVe writes it."""
    generator = np.random.default_rng(7)
    file = tmp_path_factory.mktemp("vectors") / "tiny.7d.txt"
    with file.open("w", encoding="utf-8", newline="\n") as out:
        for word in [*WORDS, "<unk>"]:
            vector = generator.normal(size=7) / 4
            vector[0] += (word in GOOD) - (word in BAD)
            out.write(" ".join([word, *(f"{value:.6f}" for value in vector)]) + "\n")
    return file


@pytest.fixture(scope="session")
def make_rows() -> Callable[[int, int], list[dict[str, str]]]:
    """Makes labelled texts that a model can learn in a second."""

    def make(count: int, seed: int) -> list[dict[str, str]]:
        choose = random.Random(seed)
        rows = []
        for number in range(count):
            label, words = [("pos", GOOD), ("neg", BAD)][number % 2]
            text = choose.choices(FILLERS, k=choose.randint(1, 9)) + [choose.choice(words)]
            choose.shuffle(text)
            rows.append({"text": " ".join(text), "label": label})
        return rows

    return make


@pytest.fixture(scope="session")
def dataset_folder(tmp_path_factory: pytest.TempPathFactory, make_rows: Callable) -> Path:
    """A folder with train.jsonl (97 rows), validation.jsonl (31) and test.jsonl (29)."""
    folder = tmp_path_factory.mktemp("dataset")
    for seed, (split, count) in enumerate({"train": 97, "validation": 31, "test": 29}.items()):
        write_jsonl(folder / f"{split}.jsonl", make_rows(count, seed))
    return folder


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, dataset_folder: Path, vectors_file: Path) -> Path:
    """A folder with a model that the command trained."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    arguments = ["--dataset", dataset_folder, "--vectors", vectors_file, "--output_dir", folder, *TINY]
    assert main(["train", *map(str, arguments)]) == 0
    return folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator["Hub"]:
    """A Hub that the client in this process talks to."""
    from loopback_hub import serve_hub

    with serve_hub() as served:
        served.answer_this_process(monkeypatch)
        yield served


@pytest.fixture
def folder(model: Path, tmp_path: Path) -> Path:
    """A model folder of one's own."""
    return Path(shutil.copytree(model, tmp_path / "model"))
