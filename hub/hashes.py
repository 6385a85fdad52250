"""What a file was made from, by hashes."""

import hashlib
import json
from pathlib import Path

from huggingface_hub.hf_api import RepoFile

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


def is_same(content: Path | bytes, there: RepoFile) -> bool:
    """Whether a file on the Hub holds just this; a large one is known there by another hash than git's."""
    if there.lfs is not None and isinstance(content, Path):  # which may not fit into memory
        return there.lfs.sha256 == hash_of(content)
    content = content if isinstance(content, bytes) else content.read_bytes()
    if there.lfs is not None:
        return there.lfs.sha256 == hashlib.sha256(content).hexdigest()
    return there.blob_id == hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
