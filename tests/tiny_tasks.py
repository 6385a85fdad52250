"""Data that tell a task apart in seconds, and what the tests of every task do."""

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import BAD, FILLERS, GOOD, TINY, write_jsonl

from glove_bilstm.scripts.main import main

LONGER = [*TINY, "--num_train_epochs", "16", "--learning_rate", "0.05", "--embedding_dropout", "0.1",
          "--lstm_dropout", "0.1", "--per_device_train_batch_size", "13", "--pooling", "max"]  # fmt: skip
TEXTS = ["a superb , lovely film", "the plot", "awful and weak", "a great film , poor acting", ""]


def command(verb: str, *arguments: object) -> None:
    assert main([verb, *map(str, arguments)]) == 0


def write_splits(folder: Path, make_row: Callable[[random.Random], dict[str, Any]]) -> Path:
    for seed, (split, count) in enumerate({"train": 157, "validation": 61, "test": 59}.items()):
        choose = random.Random(seed)
        write_jsonl(folder / f"{split}.jsonl", [make_row(choose) for _ in range(count)])
    return folder


def words(choose: random.Random, good: int, bad: int) -> str:
    chosen = (
        choose.choices(FILLERS, k=choose.randint(1, 5)) + choose.choices(GOOD, k=good) + choose.choices(BAD, k=bad)
    )
    choose.shuffle(chosen)
    return " ".join(chosen)


def read_jsonl(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def run_example_of_card(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    card = (folder / "README.md").read_text(encoding="utf-8")
    code = re.findall(r"```python\n(.*?)```", card, re.DOTALL)[0]
    monkeypatch.chdir(folder.parent)
    capsys.readouterr()
    exec(code, {})
    return capsys.readouterr().out


def check_layout_of_card(folder: Path) -> str:
    """Every picture is there, and every table and picture is a paragraph of its own, its rows of one width."""
    card = (folder / "README.md").read_text(encoding="utf-8")
    for name in re.findall(r"!\[.*?\]\((.*?)\)", card):
        assert (folder / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert not re.search(r"[^\n]\n!\[|^!\[.*\n[^\n]", card, re.MULTILINE)
    blocks = [block for block in re.split(r"\n\n+", card) if block.startswith("|")]
    assert len(blocks) > 4
    for block in blocks:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, block
    assert "\n\n\n" not in card and not re.search(r"[^\n]\n\|[^\n]*\n\|---", card.replace("|\n|---", "|---"))
    return card
