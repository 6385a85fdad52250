"""The baselines of the accuracy benchmark that need no network: the majority, and logistic regression."""

import itertools
import pickle
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from scipy.special import expit
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import MultiLabelBinarizer

from glove_bilstm import build_tokenizer, build_vocabulary, embedding_matrix, load_vectors
from glove_bilstm.tokenization.choice import choose_profile
from glove_bilstm.tokenization.vocabulary import count_words
from glove_bilstm.training.metrics import tune_thresholds
from glove_bilstm.vectors.alignment import measure_coverage
from glove_bilstm.vectors.special_tokens import SPECIAL_TOKENS

GRID = list(itertools.product((0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0), (None, "balanced")))
"""C and class_weight of the logistic regression; the combination that is best on validation is taken."""
EXTRA_WORDS = 20_000
"""As `glove-bilstm train` has it by default."""

Split = list[dict[str, Any]]
"""Rows with a "text", and a "label" that is a name, a number or a list of names."""
Features = Callable[[list[str]], Any]
"""Texts → a matrix, dense or sparse, ``[N, features]``."""


def run_baseline(name: str, splits: dict[str, Split], vectors: Path, metric: str) -> dict[str, Any]:
    """Fit a baseline on "train", choose on "validation", and measure once on "test"; what a result line holds.

    Args:
        name: "majority", "tfidf" or "mean".
        splits: The rows.
        vectors: The vectors whose mean is taken.
        metric: What is highest on validation for the chosen one.
    """
    texts = {split: [row["text"] for row in rows] for split, rows in splits.items()}
    names = {split: [row["label"] for row in rows] for split, rows in splits.items()}
    multi_label = isinstance(names["train"][0], list)
    if multi_label:
        binarizer = MultiLabelBinarizer().fit(names["train"])
        labels = {split: binarizer.transform(of_split) for split, of_split in names.items()}  # [N, C] of 0 and 1
    else:
        labels = {split: np.array(of_split) for split, of_split in names.items()}  # [N]
    if name == "majority":
        return majority(labels)

    start = time.perf_counter()
    features, matrix_size, coverage = (
        tfidf_features(texts["train"]) if name == "tfidf" else mean_features(texts, vectors)
    )
    train = features(texts["train"])
    seconds = time.perf_counter() - start
    validation = features(texts["validation"])
    best: dict[str, Any] = {}
    for strength, class_weight in GRID:
        start = time.perf_counter()
        one = LogisticRegression(C=strength, class_weight=class_weight, max_iter=2_000)
        model = (OneVsRestClassifier(one) if multi_label else one).fit(train, labels["train"])
        seconds_of_fit = time.perf_counter() - start
        thresholds = (
            tune_thresholds(model.decision_function(validation), labels["validation"]) if multi_label else None
        )
        figures = measure(predict(model, validation, thresholds), labels["validation"])
        if not best or figures[metric] > best["validation"][metric]:
            best = {
                "model": model,
                "thresholds": thresholds,
                "validation": figures,
                "seconds": seconds + seconds_of_fit,
                "chosen": {"C": strength, "class_weight": class_weight},
            }
    model = best.pop("model")
    test = measure(predict(model, features(texts["test"]), best.pop("thresholds")), labels["test"])
    megabytes = (len(pickle.dumps(model)) + matrix_size) / 1e6
    return {**best, "test": test, "megabytes": megabytes, "coverage": coverage}


def majority(labels: dict[str, np.ndarray]) -> dict[str, Any]:
    """The most frequent label of the training split for every text."""
    train = labels["train"]
    if train.ndim == 2:
        answer = np.eye(train.shape[1], dtype=int)[train.sum(axis=0).argmax()]  # [C]
    else:
        answer = np.array(Counter(train.tolist()).most_common(1)[0][0])
    figures = {
        split: measure(np.broadcast_to(answer, labels[split].shape), labels[split]) for split in ("validation", "test")
    }
    return {**figures, "seconds": 0.0, "megabytes": 0.0, "coverage": None}


def tfidf_features(train: list[str]) -> tuple[Features, int, None]:
    """1-2-grams of scikit-learn's own tokens, sublinear; its features, and the vocabulary's bytes."""
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, dtype=np.float32).fit(train)
    return vectorizer.transform, len(pickle.dumps(vectorizer)), None


def mean_features(texts: dict[str, list[str]], vectors: Path) -> tuple[Features, int, float]:
    """The mean of the vectors of a text's words; splitting, vocabulary and vectors are those of `glove-bilstm train`.

    Words without a vector don't count.

    Returns:
        The features, the bytes of the embedding matrix, and the share of the test split's tokens that have a vector.
    """
    profile, _ = choose_profile(texts["train"], vectors)
    counts = {split: count_words(of_split, profile) for split, of_split in texts.items()}
    head = load_vectors(vectors, limit=EXTRA_WORDS)
    vocabulary = build_vocabulary(counts["train"], profile, extra_words=EXTRA_WORDS, vectors=head)
    loaded = load_vectors(vectors, words={*vocabulary, *counts["test"]}, profile=profile)
    coverage = measure_coverage(counts["test"], loaded, counts["test"]).token_share
    matrix, _ = embedding_matrix(vocabulary, loaded, oov="zeros")  # [V, dim]
    matrix[: len(SPECIAL_TOKENS)] = 0
    known = matrix.any(axis=1)  # [V]
    tokenizer = build_tokenizer(vocabulary, profile)

    def features(chosen: list[str]) -> np.ndarray:
        rows = tokenizer(chosen, return_attention_mask=False)["input_ids"]
        ids = np.array([word for row in rows for word in row], dtype=np.int64)
        starts = np.cumsum([0, *map(len, rows)])
        occurrences = csr_array((np.ones(len(ids), np.float32), ids, starts), shape=(len(rows), len(matrix)))
        return occurrences @ matrix / np.maximum(occurrences @ known.astype(np.float32), 1)[:, None]  # [N, dim]

    return features, matrix.nbytes, coverage


def predict(model: Any, features: Any, thresholds: np.ndarray | None) -> np.ndarray:
    """Labels ``[N]``, or with thresholds 0 and 1 ``[N, C]``."""
    return (
        model.predict(features)
        if thresholds is None
        else (expit(model.decision_function(features)) >= thresholds).astype(int)
    )


def measure(predictions: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy and macro F1, and of labels ``[N, C]`` micro F1, under the names that `glove-bilstm train` has."""
    figures = {
        "accuracy": float(accuracy_score(labels, predictions)),
        "f1": float(f1_score(labels, predictions, average="macro", zero_division=0)),
    }
    if labels.ndim == 2:
        figures["micro_f1"] = float(f1_score(labels, predictions, average="micro", zero_division=0))
    return figures
