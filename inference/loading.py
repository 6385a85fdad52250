"""Loading a trained classifier from a folder or the Hub."""

import hashlib
import re
from pathlib import Path

from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import SAFE_WEIGHTS_NAME
from transformers.utils.hub import cached_file

import glove_bilstm  # noqa: F401 - registers the model with the Auto classes
from glove_bilstm.vectors.errors import InputError


def load_classifier(model: str, dtype: str = "auto") -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a model and its tokenizer.

    Args:
        model: A folder, or a Hub id.
        dtype: Of the weights in memory, "float32" or "bfloat16"; "auto": that of the file. Processors that multiply
            bfloat16 natively (AVX512-BF16, AMX) are about twice as fast with it; others are slower.

    Raises:
        InputError: There is no such model, the folder holds none, or the weights that the Hub sent are damaged.
    """
    if Path(model).is_dir() and not (Path(model) / "config.json").is_file():
        raise InputError(f"{model} holds no model: it has no config.json. Name a folder that training wrote.")
    try:
        # Our own classes need no trust; another model's code isn't run, nor is the user asked in the middle of a job.
        tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False)
        if not Path(model).is_dir():
            _verify_download(model)
        options = {"dtype": dtype, "trust_remote_code": False}
        return AutoModelForSequenceClassification.from_pretrained(model, **options), tokenizer
    except InputError:
        raise
    except Exception as error:  # each part of a broken folder raises its own
        raise InputError(
            f"There is no model to load at {model}: {(str(error) or repr(error)).splitlines()[0]}"
        ) from error


def _verify_download(repo_id: str) -> None:
    """Hold a model's weights against the hash that the Hub told, which names their file in the cache.

    The client checks their size alone.

    Raises:
        InputError: They differ; the file is removed.
    """
    blob = Path(str(cached_file(repo_id, SAFE_WEIGHTS_NAME))).resolve()
    if not re.fullmatch(r"[0-9a-f]{64}", blob.name):  # not a cache with such names
        return
    with blob.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != blob.name:
        blob.unlink()
        raise InputError(
            f"What came of {repo_id}'s {SAFE_WEIGHTS_NAME} has the SHA-256 {found}, and the Hub says {blob.name}: the "
            "download was damaged. It was removed; try again."
        )
