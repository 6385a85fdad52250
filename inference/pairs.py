"""Whether a model reads single texts or pairs."""

import logging

from glove_bilstm.vectors.errors import InputError
from glove_bilstm.vectors.special_tokens import SEP_TOKEN

logger = logging.getLogger(__name__)


def check_pairs(sep_token: str | None, pairs: bool) -> None:
    """Refuse pairs of texts for a model that reads single ones, and warn of the opposite.

    Args:
        sep_token: What the model's tokenizer puts between two texts.
        pairs: Whether pairs are given.

    Raises:
        InputError: Pairs are given, and there is no separator.
    """
    if pairs and sep_token is None:
        raise InputError(
            "The model was trained on single texts, not on pairs. Leave out --text_pair_column, or train with it."
        )
    if not pairs and sep_token == SEP_TOKEN:
        logger.warning("The model was trained on pairs of texts; without --text_pair_column it reads one text alone.")
