import gzip
import json
import re
from collections import Counter
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer

from glove_bilstm import load_vectors

DEMO = Path(str(files("glove_bilstm.demo")))
SIZES = {"train": 2352, "validation": 448, "test": 448}


@pytest.fixture(scope="module")
def reviews() -> dict[str, list[dict[str, str]]]:
    return {
        split: [json.loads(line) for line in (DEMO / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]
        for split in SIZES
    }


def test_sizes_and_balance(reviews: dict[str, list[dict[str, str]]]) -> None:
    assert {split: len(rows) for split, rows in reviews.items()} == SIZES
    for rows in reviews.values():
        assert set(Counter(row["label"] for row in rows).values()) == {len(rows) // 2}
        topics = Counter(row["topic"] for row in rows)
        assert len(topics) == 7 and len(set(topics.values())) == 1
        lengths = [len(row["text"].split()) for row in rows]
        assert min(lengths) >= 3 and max(lengths) <= 70 and len(set(lengths)) > 30


def test_no_review_twice_and_no_near_duplicate_anywhere(reviews: dict[str, list[dict[str, str]]]) -> None:
    """Near: sharing more than half of their words. What is checked across splits holds within them as well."""
    texts = [" ".join(re.findall(r"\w+", row["text"].lower())) for rows in reviews.values() for row in rows]
    assert len(set(texts)) == sum(SIZES.values())
    words = CountVectorizer(token_pattern=r"\w+", binary=True, dtype=np.int32).fit_transform(texts)  # [N, words]
    shared = (words @ words.T).toarray()  # [N, N]
    sizes = shared.diagonal()
    alike = np.argwhere(np.triu(2 * shared > sizes[:, None] + sizes - shared, 1))
    assert [(texts[one], texts[other]) for one, other in alike] == []


def test_no_templates(reviews: dict[str, list[dict[str, str]]]) -> None:
    """Hand-written texts don't begin or end alike."""
    texts = [row["text"].lower().split() for rows in reviews.values() for row in rows]
    for part in (slice(3), slice(-3, None)):
        assert Counter(tuple(words[part]) for words in texts if len(words) > 5).most_common(1)[0][1] <= 12


def test_vectors_are_gzipped_glove_text() -> None:
    with gzip.open(DEMO / "glove.demo.50d.txt.gz", "rb") as file:
        lines = file.read().rstrip(b"\n").split(b"\n")
    assert len(lines) == 12_000
    assert {line.count(b" ") for line in lines} == {50}
    assert lines[0].startswith(b"the ")
    vectors = load_vectors("demo")
    assert vectors.matrix.shape == (12_000, 50)
    assert "terrible" in dict(vectors.most_similar("awful", k=5))
