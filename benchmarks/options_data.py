"""The data sets of options.py, as `glove-bilstm train` reads them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from options_classifier import Options

from glove_bilstm import build_tokenizer, build_vocabulary, embedding_matrix, load_vectors
from glove_bilstm.tokenization.vocabulary import count_words
from glove_bilstm.training.datasets import load_labelled_texts

PROFILE = "glove"
LONGEST = 400
"""Words of an IMDB review that are read."""
SENTENCES = 1_100
"""Sentences of SST-2's training split that are held out besides its validation split, with all their phrases."""


@dataclass(frozen=True)
class Data:
    """Token ids and labels; `matrix` is ``[V, D]``, labels are ``[N]`` or ``[N, C]``."""

    matrix: torch.Tensor
    labels: int
    train: list[torch.Tensor]
    train_labels: torch.Tensor
    validation: list[torch.Tensor]
    validation_labels: torch.Tensor


def load(name: str, folder: Path, options: Options) -> Data:
    """Read a data set as `glove-bilstm train` does, with the splits of the accuracy benchmark."""
    vectors_file = folder / f"vectors/glove.reviews.{options.dim}d.txt.gz"
    data = load_labelled_texts(folder / name, "text", "label", 0.1, 42)
    train, validation = data.splits["train"], data.splits["validation"]
    train_rows, held_out = list(range(len(train))), []
    if name == "sst2":
        train_rows, held_out = hold_out_sentences(train["text"][:])
    texts = [train["text"][row] for row in train_rows] if held_out else train["text"][:]
    counts = count_words(texts, PROFILE)
    vocabulary = build_vocabulary(
        counts, PROFILE, extra_words=20_000, vectors=load_vectors(vectors_file, limit=20_000)
    )
    vectors = load_vectors(vectors_file, words=vocabulary, profile=PROFILE)
    vocabulary = [word for word in vocabulary if counts[word] >= options.rare or vectors.find(word) is not None]
    matrix, _ = embedding_matrix(vocabulary, vectors)
    tokenizer = build_tokenizer(vocabulary, PROFILE)
    cut = {"truncation": True, "max_length": LONGEST} if name == "imdb" else {}

    def encode(chosen: list[str]) -> list[torch.Tensor]:
        rows = tokenizer(chosen, return_attention_mask=False, **cut)["input_ids"]
        return [torch.tensor(row or [0], dtype=torch.long) for row in rows]

    all_texts, all_labels = train["text"][:], torch.tensor(train["label"][:])
    return Data(
        torch.from_numpy(matrix),
        len(data.labels),
        encode(texts),
        all_labels[train_rows],
        encode([*validation["text"], *(all_texts[row] for row in held_out)]),
        torch.cat([torch.tensor(validation["label"][:]), all_labels[held_out]]),
    )


def hold_out_sentences(texts: list[str]) -> tuple[list[int], list[int]]:
    """The rows of SST-2 to train on, and whole sentences to validate on besides: 872 say too little.

    A sentence's phrases are rows too, so all that are part of one that is held out are left out.
    """
    words = [text.split() for text in texts]
    seen: set[str] = set()
    sentences = []
    for row in sorted(range(len(words)), key=lambda row: -len(words[row])):
        if " ".join(words[row]) not in seen:
            sentences.append(row)
            seen |= _phrases(words[row], 1)
    long_enough = [row for row in sentences if len(words[row]) >= 5]
    chosen = np.random.default_rng(0).permutation(len(long_enough))[:SENTENCES]
    held_out = [long_enough[position] for position in chosen]
    phrases = set().union(*(_phrases(words[row], 3) for row in held_out))
    return [row for row in range(len(words)) if " ".join(words[row]) not in phrases], held_out


def _phrases(words: list[str], shortest: int) -> set[str]:
    ends = range(len(words) + 1)
    return {" ".join(words[start:end]) for start in ends for end in ends[start + shortest :]}
