"""Which options make a more accurate classifier: a plain training loop that has them all, judged on validation alone.

    python benchmarks/options.py trec                               # the base, seed 0
    python benchmarks/options.py trec --pooling attention --seed 1  # one thing changed
    python benchmarks/options.py trec --plan --seed 1               # every change, as far as it is missing
    python benchmarks/options.py --table                            # the page again, from the results so far

Each run appends a line to options.jsonl: the data set, what differs from the base, and the validation figures after
each epoch. No test split is opened. What pays is an option of the package; what doesn't is found here alone. Products
are rounded to bfloat16, which saves a third of the time. options_search.jsonl holds the runs from which the recipe was
made, in float32.
"""

import argparse
import functools
import json
import math
import os
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from options_table import table
from torch import nn

from glove_bilstm import build_tokenizer, build_vocabulary, embedding_matrix, load_vectors
from glove_bilstm.tokenization.vocabulary import count_words
from glove_bilstm.training.datasets import load_labelled_texts
from glove_bilstm.training.metrics import multi_label_figures, tune_thresholds
from glove_bilstm.training.sampling import LengthGroupedBatches

RESULTS = Path(__file__).with_suffix(".jsonl")
SEARCH = RESULTS.with_stem("options_search")
PROFILE = "glove"
EPOCHS = {"trec": 20, "sst2": 5, "goemotions": 5, "imdb": 5}
"""Of the tuned recipe, for TREC by its least number of steps."""
LONGEST = 400
"""Words of an IMDB review that are read."""
SENTENCES = 1_100
"""Sentences of SST-2's training split that are held out besides its validation split, with all their phrases."""


@dataclass(frozen=True)
class Options:
    """The tuned recipe as it was before this table, and what can be changed in it.

    Attributes:
        dim: Of the vectors.
        rare: Words that the vectors lack and that occur less often in the training texts are read as `<unk>`.
        strategy: "frozen", "finetune" or "two_stage".
        unfreeze_at: Share of training before the second stage.
        second_rate: The learning rate of the second stage as a share of the first one's.
        embedding_rate: The embedding's learning rate as a share of the others'.
        hidden_size: Of one direction.
        layers: LSTM layers.
        pooling: "last", "mean", "max", "mean_max" or "attention".
        embedding_dropout: On the word vectors.
        variational: One mask of it for all words of a text (Gal & Ghahramani 2016).
        word_dropout: Share of words whose whole vector is dropped (Iyyer et al. 2015).
        layer_dropout: Between the layers.
        locked: One mask of it for all words of a text.
        weight_drop: On the recurrent weights (Merity et al. 2018).
        classifier_dropout: On the pooled vector.
        label_smoothing: Szegedy et al. 2016.
        adversarial: Length of the perturbation of a word's vector in adversarial training (Miyato et al. 2017).
        r_drop: Weight of the divergence between two passes with different dropout (Liang et al. 2021).
        ema: Decay of the weights' moving average.
        positive_weight: Multi-label: the power of (negatives / positives) that weighs a label's positives.
        learning_rate: The highest.
        schedule: "linear", "cosine" or "constant".
        batch_size: Texts.
        batch_tokens: Tokens in a batch, padding included, in place of `batch_size`. 0: not.
        weight_decay: Of all but the embedding.
        epochs: 0: those of `EPOCHS`.
    """

    dim: int = 300
    rare: int = 1
    strategy: str = "finetune"
    unfreeze_at: float = 0.5
    second_rate: float = 0.3
    embedding_rate: float = 0.3
    hidden_size: int = 200
    layers: int = 2
    pooling: str = "mean_max"
    embedding_dropout: float = 0.5
    variational: bool = False
    word_dropout: float = 0.0
    layer_dropout: float = 0.5
    locked: bool = False
    weight_drop: float = 0.0
    classifier_dropout: float = 0.5
    label_smoothing: float = 0.0
    adversarial: float = 0.0
    r_drop: float = 1.0
    ema: float = 0.999
    positive_weight: float = 0.5
    learning_rate: float = 1e-3
    schedule: str = "linear"
    batch_size: int = 64
    batch_tokens: int = 0
    weight_decay: float = 0.0
    epochs: int = 0


CHANGES: list[dict[str, Any]] = [
    {},
    {"rare": 2},
    {"rare": 10**9},
    {"r_drop": 0.0},
    {"ema": 0.0},
    {"pooling": "max"},
    {"pooling": "attention"},
    {"pooling": "last"},
    {"strategy": "frozen"},
    {"strategy": "two_stage", "embedding_rate": 1.0},
    {"embedding_rate": 1.0},
    {"schedule": "cosine"},
    {"batch_tokens": 700},
    {"locked": True},
    {"layer_dropout": 0.0},
    {"embedding_dropout": 0.2},
    {"variational": True},
    {"word_dropout": 0.1},
    {"weight_drop": 0.3},
    {"label_smoothing": 0.1},
    {"layers": 1},
    {"hidden_size": 300},
]
"""What `--plan` runs."""


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


class Classifier(nn.Module):
    """The package's architecture with every option; only the words of the training texts can be trained."""

    def __init__(self, options: Options, data: Data) -> None:
        super().__init__()
        self.options = options
        trained = 1 + max(int(text.max()) for text in data.train)
        self.embedding = nn.Parameter(data.matrix[:trained].clone())  # [words of the training texts, D]
        self.others = data.matrix[trained:]  # [the other words, D]
        hidden = options.hidden_size
        self.weights = nn.ParameterList()
        for layer in range(options.layers):
            for _ in range(2):
                for shape in ((4 * hidden, 2 * hidden if layer else options.dim), (4 * hidden, hidden)):
                    weight = torch.empty(shape)
                    for gate in weight.chunk(4):
                        (nn.init.orthogonal_ if shape[1] == hidden else nn.init.xavier_uniform_)(gate)
                    self.weights.append(weight)
                forget = torch.zeros(4 * hidden)
                forget[hidden : 2 * hidden] = 1
                self.weights.extend([forget, torch.zeros(4 * hidden)])
        self.attention = nn.Sequential(
            nn.Linear(2 * hidden, 2 * hidden), nn.Tanh(), nn.Linear(2 * hidden, 1, bias=False)
        )
        self.classifier = nn.Linear(2 * hidden * (2 if options.pooling == "mean_max" else 1), data.labels)
        nn.init.xavier_uniform_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def look_up(self, ids: torch.Tensor) -> torch.Tensor:
        """``[B, T]`` → ``[B, T, D]``."""
        if self.training:
            vectors = F.embedding(ids, self.embedding, padding_idx=0)
        else:
            vectors = F.embedding(ids, torch.cat([self.embedding, self.others]))
        return vectors.requires_grad_() if self.options.adversarial and not vectors.requires_grad else vectors

    def forward(self, vectors: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """``[B, T, D]`` and ``[B]``, the longest first, → logits ``[B, C]``."""
        options = self.options
        drop = functools.partial(_drop, training=self.training)
        vectors = drop(vectors, options.word_dropout, (*vectors.shape[:2], 1), scale=False)
        batch, _, dim = vectors.shape
        vectors = drop(vectors, options.embedding_dropout, (batch, 1, dim) if options.variational else vectors.shape)
        states = vectors  # [B, T, D]
        zeros = states.new_zeros(1, batch, options.hidden_size)
        places = torch.arange(states.shape[1])  # [T]
        turned = ((lengths[:, None] - 1 - places) % len(places)).unsqueeze(-1)  # [B, T, 1], each text from its end
        for layer in range(options.layers):
            if layer:
                shape = (batch, 1, states.shape[2]) if options.locked else states.shape
                states = drop(states, options.layer_dropout, shape)
            directions = []
            for backward in (False, True):
                start = 8 * layer + 4 * backward
                weights = list(self.weights[start : start + 4])
                weights[1] = F.dropout(weights[1], options.weight_drop, self.training)
                read = states.take_along_dim(turned, 1) if backward else states
                read = torch.lstm(read, (zeros, zeros), weights, True, 1, 0.0, self.training, False, True)[0]
                directions.append(read.take_along_dim(turned, 1) if backward else read)
            states = torch.cat(directions, dim=-1)  # [B, T, H]
        padding = (places >= lengths[:, None]).unsqueeze(-1)  # [B, T, 1]
        padded = states.masked_fill(padding, 0.0)
        highest = states.masked_fill(padding, -math.inf).amax(dim=1)  # [B, H]
        mean = padded.sum(dim=1) / lengths[:, None]  # [B, H]
        size = options.hidden_size
        ends = padded[torch.arange(batch), lengths - 1]  # [B, H]
        if options.pooling == "attention":
            shares = self.attention(padded).masked_fill(padding, -math.inf).softmax(dim=1)  # [B, T, 1]
            pooled = (shares * padded).sum(dim=1)
        else:
            pooled = {
                "max": highest,
                "mean": mean,
                "mean_max": torch.cat([mean, highest], dim=-1),
                "last": torch.cat([ends[:, :size], padded[:, 0, size:]], dim=-1),
            }[options.pooling]
        return self.classifier(F.dropout(pooled, options.classifier_dropout, self.training))


def rounded() -> torch.autocast:
    """Round the factors of matrix products to bfloat16."""
    return torch.autocast("cpu", torch.bfloat16)


def _drop(values: torch.Tensor, share: float, shape: Any, training: bool, scale: bool = True) -> torch.Tensor:
    """Dropout with a mask of another shape."""
    if not training or not share:
        return values
    return values * (torch.rand(shape) >= share) / (1 - share if scale else 1)


def batches_of(data: Data, options: Options, seed: int, epoch: int) -> list[list[int]]:
    """The rows of each batch of an epoch."""
    lengths = [len(text) for text in data.train]
    grouped = LengthGroupedBatches(lengths, options.batch_size, seed)
    grouped.set_epoch(epoch)
    if not options.batch_tokens:
        return list(grouped)
    batches: list[list[int]] = [[]]
    for row in sorted(range(len(lengths)), key=lambda row: (lengths[row], (row * 7919 + epoch * 104729) % 10007)):
        if batches[-1] and (len(batches[-1]) + 1) * lengths[row] > options.batch_tokens:
            batches.append([])
        batches[-1].append(row)
    order = np.random.default_rng((seed, epoch)).permutation(len(batches))
    return [batches[position] for position in order]


def pad(texts: list[torch.Tensor], rows: list[int]) -> tuple[list[int], torch.Tensor, torch.Tensor]:
    """Rows, the longest first; their ids ``[B, T]``; their lengths ``[B]``."""
    rows = sorted(rows, key=lambda row: -len(texts[row]))
    ids = nn.utils.rnn.pad_sequence([texts[row] for row in rows], batch_first=True)
    return rows, ids, torch.tensor([len(texts[row]) for row in rows])


@torch.no_grad()
def evaluate(model: Classifier, data: Data) -> dict[str, float]:
    """The validation figures: accuracy or, for several labels, macro F1 with tuned thresholds; and the loss."""
    model.eval()
    logits = torch.zeros(len(data.validation), data.labels)
    order = sorted(range(len(data.validation)), key=lambda row: len(data.validation[row]))
    for start in range(0, len(order), 256):
        rows, ids, lengths = pad(data.validation, order[start : start + 256])
        with rounded():
            logits[rows] = model(model.look_up(ids), lengths).float()
    model.train()
    labels = data.validation_labels
    if labels.ndim == 2:
        thresholds = tune_thresholds(logits.numpy(), labels.numpy())
        names = [str(label) for label in range(data.labels)]
        figures = multi_label_figures(names, (logits.sigmoid().numpy() >= thresholds).astype(int), labels.numpy())
        return {"score": figures["f1"], "loss": float(F.binary_cross_entropy_with_logits(logits, labels))}
    accuracy = (logits.argmax(dim=1) == labels).float().mean()
    return {"score": float(accuracy), "loss": float(F.cross_entropy(logits, labels))}


def train(data: Data, options: Options, epochs: int, seed: int) -> list[dict[str, float]]:
    """Train, and give the validation figures after each epoch."""
    torch.manual_seed(seed)
    model = Classifier(options, data)
    rest = [weight for name, weight in model.named_parameters() if name != "embedding"]
    model.embedding.requires_grad_(options.strategy == "finetune")
    groups = [{"params": rest}, {"params": [model.embedding], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=options.learning_rate, weight_decay=options.weight_decay, fused=True)
    multi_label = data.train_labels.ndim == 2
    weight = None
    if multi_label and options.positive_weight:
        positives = data.train_labels.sum(dim=0)
        weight = ((len(data.train_labels) - positives) / positives) ** options.positive_weight

    def loss_of(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if multi_label:
            return F.binary_cross_entropy_with_logits(logits, labels, pos_weight=weight)
        return F.cross_entropy(logits, labels, label_smoothing=options.label_smoothing)

    averages = {name: value.detach().clone() for name, value in model.named_parameters()}
    max_steps = epochs * len(batches_of(data, options, seed, 0))
    step, history = 0, []
    for epoch in range(epochs):
        for batch in batches_of(data, options, seed, epoch):
            done = step / max_steps
            schedule = {"linear": 1 - done, "cosine": 0.5 + 0.5 * math.cos(math.pi * done), "constant": 1.0}
            rate = options.learning_rate * schedule[options.schedule]
            if options.strategy == "two_stage" and done >= options.unfreeze_at:
                model.embedding.requires_grad_(True)
                rate *= options.second_rate
            for group in optimizer.param_groups:
                group["lr"] = rate * (options.embedding_rate if group["params"][0] is model.embedding else 1)
            rows, ids, lengths = pad(data.train, batch)
            labels, vectors = data.train_labels[rows], model.look_up(ids)
            with rounded():
                logits = model(vectors, lengths)
                other = model(vectors, lengths) if options.r_drop else None
            loss = loss_of(logits.float(), labels)
            if other is not None:
                loss = _r_drop(loss, logits.float(), other.float(), labels, loss_of, options.r_drop)
            if options.adversarial:
                (gradient,) = torch.autograd.grad(loss, vectors, retain_graph=True)
                length = gradient.flatten(1).norm(dim=1)[:, None, None] / lengths[:, None, None].sqrt()
                shifted = vectors + options.adversarial * gradient / (length + 1e-12)
                with rounded():
                    logits = model(shifted, lengths)
                loss = loss + loss_of(logits.float(), labels)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            if options.ema:
                decay = min(options.ema, (1 + step) / (10 + step))
                with torch.no_grad():
                    for name, value in model.named_parameters():
                        if value.requires_grad:
                            averages[name].lerp_(value, 1 - decay)
        kept = {name: value.detach().clone() for name, value in model.named_parameters()}
        if options.ema:
            model.load_state_dict(averages)
        history.append(evaluate(model, data))
        model.load_state_dict(kept)
        print(f"epoch {epoch + 1}: {history[-1]['score']:.4f}, loss {history[-1]['loss']:.4f}", flush=True)
    return history


def _r_drop(
    loss: torch.Tensor, one: torch.Tensor, other: torch.Tensor, labels: Any, loss_of: Any, weight: float
) -> Any:
    pairs = [
        torch.stack([logits, torch.zeros_like(logits)], -1) if labels.ndim == 2 else logits for logits in (one, other)
    ]
    first, second = (logits.log_softmax(dim=-1) for logits in pairs)
    apart = sum(
        F.kl_div(a, b, log_target=True, reduction="sum") / labels.numel()
        for a, b in ((first, second), (second, first))
    )
    return (loss + loss_of(other, labels)) / 2 + weight * apart / 4


def changed(options: Options) -> dict[str, Any]:
    """What differs from the base."""
    base = asdict(Options())
    return {name: value for name, value in asdict(options).items() if value != base[name]}


def measure(name: str, options: Options, seed: int, folder: Path, results: Path) -> None:
    """Run once, and append a line to the results."""
    start = time.perf_counter()
    history = train(load(name, folder, options), options, options.epochs or EPOCHS[name], seed)
    line = {
        "data": name,
        "changed": changed(options),
        "seed": seed,
        "best": max(figures["score"] for figures in history),
        "last": history[-1]["score"],
        "loss": min(figures["loss"] for figures in history),
        "history": [[round(value, 4) for value in figures.values()] for figures in history],
        "seconds": round(time.perf_counter() - start),
    }
    with results.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read(results: Path) -> list[dict[str, Any]]:
    """The lines so far."""
    return [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()] if results.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_set", nargs="?", choices=list(EPOCHS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--plan", action="store_true")
    parser.add_argument("--table", action="store_true")
    for field in fields(Options):
        kind = (lambda text: text == "True") if field.type is bool else field.type
        parser.add_argument(f"--{field.name}", type=kind, default=field.default)
    told = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    if told.plan:
        for change in CHANGES:
            for name in EPOCHS if told.data_set is None else [told.data_set]:
                done = [line for line in read(told.results) if (line["data"], line["changed"]) == (name, change)]
                if told.seed not in [line["seed"] for line in done]:
                    print(f"{name}, seed {told.seed}: {change or 'the base'}", flush=True)
                    measure(name, Options(**change), told.seed, told.data, told.results)
    elif told.data_set:
        options = Options(**{field.name: getattr(told, field.name) for field in fields(Options)})
        measure(told.data_set, options, told.seed, told.data, told.results)
    if told.plan or told.table:
        told.results.with_suffix(".md").write_text(table(read(told.results), read(SEARCH)), encoding="utf-8")


if __name__ == "__main__":
    main()
