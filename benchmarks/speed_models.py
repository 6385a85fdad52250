"""What benchmarks/speed.py compares: the contestants, all made from the same texts, with random weights."""

import gzip
import json
import random
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from transformers import (
    DistilBertConfig,
    DistilBertForSequenceClassification,
    PreTrainedTokenizerBase,
    TokenizersBackend,
    pipeline,
)

from glove_bilstm import (
    GloveBiLSTMConfig,
    GloveBiLSTMForSequenceClassification,
    build_tokenizer,
    build_vocabulary,
)
from glove_bilstm.inference.bulk import predict_logits
from glove_bilstm.modeling.modeling_glove_bilstm import cpu_computes_in
from glove_bilstm.tokenization.word_level import encode_texts

BATCH = 64
SMALL_BATCH = 8
"""Of the transformer, where its texts are sorted: on a CPU no size was faster."""
DIM = 300
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "classic": {"hidden_size": 256, "num_hidden_layers": 2, "pooling": "last"},
    "tuned": {"hidden_size": 200, "num_hidden_layers": 2, "pooling": "mean_max"},
}
"""The recipes' architectures."""
WORD_PIECES = 30_522
"""DistilBERT's vocabulary."""


def read_texts(folder: Path, name: str, split: str, number: int | None = None) -> tuple[list[str], list[int]]:
    """Texts and labels (0 or 1) of a data set, shuffled by a fixed seed: as many as asked for."""
    (file,) = folder.glob(f"{name}/{split}.jsonl*")
    opened = gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open(encoding="utf-8")
    with opened as lines:
        rows = [json.loads(line) for line in lines]
    random.Random(0).shuffle(rows)
    names = sorted({row["label"] for row in rows})
    return [row["text"] for row in rows[:number]], [names.index(row["label"]) for row in rows[:number]]


def read_demo(split: str, number: int | None = None) -> tuple[list[str], list[int]]:
    """The same of the bundled reviews."""
    from glove_bilstm.training.datasets import load_labelled_texts

    chosen = load_labelled_texts("demo", "text", "label", 0.1, 0).splits[split]
    return chosen["text"][:number], chosen["label"][:number]


class PlainBiLSTM(nn.Module):
    """The plain torch module: embedding, dropout, packed BiLSTM, last states, dropout, linear."""

    def __init__(self, vocabulary: int, hidden_size: int = 256, frozen: bool = True, dim: int = DIM) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, dim, padding_idx=0)
        self.embedding.weight.requires_grad_(not frozen)
        self.dropout = nn.Dropout(0.5)
        self.lstm = nn.LSTM(dim, hidden_size, 2, batch_first=True, bidirectional=True, dropout=0.5)
        self.linear = nn.Linear(2 * hidden_size, 2)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """``[B, T]`` and ``[B]`` to logits ``[B, 2]``."""
        embedded = self.dropout(self.embedding(ids))
        packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        _, (hidden, _) = self.lstm(packed)
        return self.linear(self.dropout(torch.cat([hidden[-2], hidden[-1]], dim=1)))


def padded(encoded: Sequence[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids ``[B, T]``, padded to the longest, and lengths ``[B]``."""
    rows = [torch.tensor(ids or [1]) for ids in encoded]
    return pad_sequence(rows, batch_first=True), torch.tensor([len(row) for row in rows])


def flop_per_token(config: GloveBiLSTMConfig) -> float:
    """Floating-point operations of the LSTM's matrix products for one token, forward."""
    hidden = config.hidden_size
    inputs = [config.embedding_dim, *[2 * hidden] * (config.num_hidden_layers - 1)]
    return sum(2 * 2 * 4 * hidden * (size + hidden) for size in inputs)


class Contestants:
    """Everything that can read a list of texts, made from those texts."""

    def __init__(self, texts: list[str], labels: list[int], others: list[str], device: str) -> None:
        """Make them.

        Args:
            texts: What will be read.
            labels: 0 or 1, for the classifier that has no random weights.
            others: More texts, from which the transformer's word pieces are made too.
            device: Where the models compute.
        """
        self.device = device
        self.texts = texts
        self.tokenizer = build_tokenizer(build_vocabulary(texts))
        self.encoded = encode_texts(self.tokenizer, texts)
        self.tokens = sum(map(len, self.encoded))
        self.plain = PlainBiLSTM(len(self.tokenizer)).eval().to(device)
        self.models = {name: self.make_model(**options) for name, options in ARCHITECTURES.items()}
        self.transformer = make_distilbert().to(device)
        self.rough, self.rough_transformer = {}, None
        if device != "cpu" or cpu_computes_in(torch.bfloat16):
            self.rough = {name: self.make_model(**options).bfloat16() for name, options in ARCHITECTURES.items()}
            self.rough_transformer = make_distilbert().to(device).bfloat16()
        self.word_pieces = make_word_pieces([*texts, *others])
        self.linear = make_tfidf(texts, labels)

    def make_model(self, **options: Any) -> GloveBiLSTMForSequenceClassification:
        """One of ours."""
        config = GloveBiLSTMConfig(vocab_size=len(self.tokenizer), embedding_dim=DIM, num_labels=2, **options)
        return GloveBiLSTMForSequenceClassification(config).eval().to(self.device)

    @torch.inference_mode()
    def read_plainly(self) -> None:
        """The usual loop: batches in the order of the (shuffled) texts, padded to the longest."""
        encoded = encode_texts(self.tokenizer, self.texts)
        for start in range(0, len(encoded), BATCH):
            ids, lengths = padded(encoded[start : start + BATCH])
            self.plain(ids.to(self.device), lengths).cpu()

    def read(self, model: GloveBiLSTMForSequenceClassification) -> Callable[[], None]:
        """As `glove-bilstm predict` does."""

        def all_texts() -> None:
            for _ in predict_logits(model, self.tokenizer, self.texts):
                pass

        return all_texts

    def read_with_transformer(
        self, number: int, size: int = BATCH, by_length: bool = False, rough: bool = False
    ) -> Callable[[], None]:
        """As `pipeline` does; of so slow a model, the first texts alone."""
        model = self.rough_transformer if rough else self.transformer
        classify = pipeline("text-classification", model=model, tokenizer=self.word_pieces, device=self.device)
        texts = sorted(self.texts[:number], key=len) if by_length else self.texts[:number]
        return lambda: list(classify(texts, batch_size=size, truncation=True)) and None


def make_distilbert() -> DistilBertForSequenceClassification:
    """A transformer of DistilBERT's size, with random weights."""
    return DistilBertForSequenceClassification(DistilBertConfig(vocab_size=WORD_PIECES)).eval()


def make_word_pieces(texts: list[str]) -> PreTrainedTokenizerBase:
    """A tokenizer like DistilBERT's, trained on these texts."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    trainer = trainers.WordPieceTrainer(vocab_size=WORD_PIECES, special_tokens=special, show_progress=False)
    backend.train_from_iterator(texts, trainer)
    backend.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return TokenizersBackend(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        model_max_length=512,
        model_input_names=["input_ids", "attention_mask"],
    )


def make_tfidf(texts: list[str], labels: list[int]) -> Any:
    """TF-IDF of single words and pairs, and a logistic regression; trained on what it will read, for its speed."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    return make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression()).fit(texts, labels)


def random_texts(rows: int, words: int, vocabulary: int, seed: int = 0) -> list[list[int]]:
    """Token ids of texts of one length."""
    return np.random.default_rng(seed).integers(2, vocabulary, (rows, words)).tolist()


def batches(rows: Sequence[Any], size: int = BATCH) -> list[list[Any]]:
    """Rows in their order, `size` at a time."""
    remaining = iter(rows)
    return list(iter(lambda: list(islice(remaining, size)), []))
