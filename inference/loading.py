"""Loading a trained classifier from a folder or the Hub."""

import logging
from pathlib import Path

from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

import glove_bilstm  # noqa: F401 - registers the model with the Auto classes
from glove_bilstm.vectors.errors import InputError
from glove_bilstm.vectors.special_tokens import SEP_TOKEN

logger = logging.getLogger(__name__)


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


def check_pairs(tokenizer: PreTrainedTokenizerBase, pairs: bool) -> None:
    """Refuse pairs of texts for a model that reads single ones, and warn of the opposite.

    Raises:
        InputError: The tokenizer has no separator to put between two texts.
    """
    if pairs and tokenizer.sep_token is None:
        raise InputError(
            "The model was trained on single texts, not on pairs. Leave out --text_pair_column, or train with it."
        )
    if not pairs and tokenizer.sep_token == SEP_TOKEN:
        logger.warning("The model was trained on pairs of texts; without --text_pair_column it reads one text alone.")
