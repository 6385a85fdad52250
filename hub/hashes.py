"""What a file was made from, by hashes."""

import hashlib
import json
from pathlib import Path

from glove_bilstm.vectors.errors import InputError


def hash_of(file: Path) -> str:
    """The SHA-256 of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def is_export_of(report: Path, weights: Path) -> bool:
    """Whether an exported model is still one of these weights.

    Args:
        report: Its `export.json`.
        weights: A model's `model.safetensors`.

    Raises:
        InputError: The report isn't JSON.
    """
    try:
        told = json.loads(report.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{report} is not JSON: {error}.") from error
    return isinstance(told, dict) and told.get("model_sha256") == hash_of(weights)
