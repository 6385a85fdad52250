"""From a data set's texts and word vectors to a tokenizer and an embedding matrix."""

import logging
from typing import Any

import torch
from transformers import TokenizersBackend

from glove_bilstm.tokenization.choice import AUTO, choose_profile, warn_of_low_coverage
from glove_bilstm.tokenization.vocabulary import build_vocabulary, count_words
from glove_bilstm.tokenization.word_level import build_tokenizer
from glove_bilstm.training.arguments import ModelArguments
from glove_bilstm.training.coverage import load_and_measure
from glove_bilstm.training.datasets import LabelledTexts
from glove_bilstm.vectors.alignment import Coverage, embedding_matrix
from glove_bilstm.vectors.sources import find_source
from glove_bilstm.vectors.special_tokens import SEP_TOKEN
from glove_bilstm.vectors.word_vectors import load_vectors

logger = logging.getLogger(__name__)


def prepare_words(
    data: LabelledTexts, arguments: ModelArguments, seed: int
) -> tuple[TokenizersBackend, torch.Tensor, dict[str, Coverage], dict[str, Any]]:
    """Choose the words of a run, and look up their vectors.

    Args:
        data: The texts; the vocabulary comes from the training split.
        arguments: Which vectors, and which words.
        seed: Of the vectors that are drawn for words without one.

    Returns:
        The tokenizer; the embedding matrix, float32 ``[V, D]``; each split's coverage; and where the vectors came
        from, for the configuration's `word_vectors`.

    Raises:
        InputError: The vectors can't be read, or not one word has a vector.
    """
    source = find_source(arguments.vectors)
    use_cache = not arguments.no_cache
    profile, reason = arguments.profile, "as told"
    if profile == AUTO:
        profile, reason = choose_profile(data.texts("train"), arguments.vectors, use_cache)
    logger.info(f"Text is split by the profile {profile}: {reason}")
    counts = {name: count_words(data.texts(name), profile) for name in data.splits}
    number = arguments.extra_words
    vocabulary = build_vocabulary(
        counts["train"],
        profile,
        arguments.min_frequency,
        arguments.max_vocabulary,
        number,
        load_vectors(arguments.vectors, limit=number, use_cache=use_cache) if number else None,
    )
    # The other splits' words are read only to say how well they are covered.
    vectors, coverage = load_and_measure(counts, arguments.vectors, profile, use_cache, also=vocabulary)
    logger.info(f"Vectors {vectors.report}")
    least = arguments.min_frequency_without_vector
    vocabulary = [word for word in vocabulary if counts["train"][word] >= least or vectors.find(word) is not None]
    if data.are_pairs:
        vocabulary = [SEP_TOKEN, *vocabulary]
    matrix, in_vocabulary = embedding_matrix(vocabulary, vectors, arguments.oov, seed, counts["train"])
    for name, measured in coverage.items():
        logger.info(f"Coverage of {name}: {measured}")
    warning = warn_of_low_coverage(data.texts("train"), arguments.vectors, profile, coverage["train"], use_cache)
    if warning is not None:
        logger.warning(warning)
    tokenizer = build_tokenizer(vocabulary, profile)
    provenance = {
        "name": source.name,
        "sha256": source.sha256(),
        "dim": vectors.dim,
        "rows": in_vocabulary.types_found,
        "profile": profile,
        **({"licence": source.licence} if source.licence else {}),
        "coverage": {"types": coverage["train"].type_share, "tokens": coverage["train"].token_share},
    }
    return tokenizer, torch.from_numpy(matrix), coverage, provenance
