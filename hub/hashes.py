"""What a file was made from, by hashes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from glove_bilstm.hub.files import read_json

if TYPE_CHECKING:  # it takes a quarter of a second, and `predict` needs no Hub
    from huggingface_hub.hf_api import RepoFile


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
    told = read_json(report)
    return isinstance(told, dict) and told.get("model_sha256") == hash_of(weights)


def is_same(content: Path | bytes, there: RepoFile) -> bool:
    """Whether a file on the Hub holds just this; a large one is known there by another hash than git's."""
    if there.lfs is not None and isinstance(content, Path):  # which may not fit into memory
        return there.lfs.sha256 == hash_of(content)
    content = content if isinstance(content, bytes) else content.read_bytes()
    if there.lfs is not None:
        return there.lfs.sha256 == hashlib.sha256(content).hexdigest()
    return there.blob_id == hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
