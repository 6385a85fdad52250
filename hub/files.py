"""The files of a model folder, and writing one whole or not at all."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glove_bilstm.vectors.errors import InputError

CONFIG, WEIGHTS, CARD, HANDLER = "config.json", "model.safetensors", "README.md", "handler.py"
TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
COVERAGE, DRIFT, RESULTS = "coverage.json", "drift.json", "all_results.json"
RELIABILITY, CONFUSIONS, VALUES = PICTURES = ("reliability.png", "confusion_matrix.png", "predictions.png")
MARK = "<!-- Measured on weights with the SHA-256: {} -->"
"""The last line of a card, which no reader sees."""
MEASURED_ON = re.compile(f"^{MARK.format('([0-9a-f]{64})')}$", re.MULTILINE)


def beside(output: Path, kind: str) -> Path:
    """A hidden file next to an output: its "lock", its "answers", what is "incomplete" of it, or that it is "done"."""
    return output.with_name(f".{output.name}.{kind}")


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A file beside another, whose place it takes only when everything is written.

    Its name is always the same, so that what a killed process left is replaced; where two processes may write the
    same file at once, it must be claimed.
    """
    incomplete = beside(path, "incomplete")
    try:
        yield incomplete
        os.replace(incomplete, path)
    finally:
        incomplete.unlink(missing_ok=True)


def write_json(file: Path, content: object) -> None:
    """Write JSON that a person can read."""
    with new_file(file) as new:
        new.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_text(file: Path) -> str:
    """Read text.

    Raises:
        InputError: It isn't in UTF-8.
    """
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{file} isn't UTF-8 text ({error}). Save it as UTF-8.") from error


def read_json(file: Path) -> Any:
    """Read JSON.

    Raises:
        InputError: It is none, or not in UTF-8.
    """
    try:
        return json.loads(read_text(file))
    except json.JSONDecodeError as error:
        raise InputError(f"{file} is not JSON: {error}.") from error
