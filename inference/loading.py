"""Loading a trained classifier from a folder or the Hub."""

from pathlib import Path

from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

import glove_bilstm  # noqa: F401 - registers the model with the Auto classes
from glove_bilstm.vectors.errors import InputError


def load_classifier(model: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a model and its tokenizer.

    Args:
        model: A folder, or a Hub id.

    Raises:
        InputError: There is no such model, or the folder holds none.
    """
    if Path(model).is_dir() and not (Path(model) / "config.json").is_file():
        raise InputError(f"{model} holds no model: it has no config.json. Name a folder that training wrote.")
    try:
        # Our own classes need no trust; another model's code isn't run, nor is the user asked in the middle of a job.
        tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False)
        return AutoModelForSequenceClassification.from_pretrained(model, trust_remote_code=False), tokenizer
    except Exception as error:  # each part of a broken folder raises its own
        raise InputError(
            f"There is no model to load at {model}: {(str(error) or repr(error)).splitlines()[0]}"
        ) from error
