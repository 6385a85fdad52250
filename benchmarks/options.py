"""Which options make a more accurate classifier: a plain training loop that has them all, judged on validation alone.

    python benchmarks/options.py trec                               # the base, seed 0
    python benchmarks/options.py trec --pooling attention --seed 1  # one thing changed
    python benchmarks/options.py trec --plan --seed 1               # every change, as far as it is missing
    python benchmarks/options.py --table                            # the page again, from the results so far

Each run appends a line to options.jsonl: the data set, what differs from the base, and the validation figures after
each epoch. No test split is opened. What pays is an option of the package; what doesn't is found here alone.
options_search.jsonl holds the runs from which the recipe was made.
"""

import argparse
import json
import math
import os
import time
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from options_classifier import Classifier, Options
from options_data import Data, load
from options_table import table
from torch import nn

from glove_bilstm.training.metrics import multi_label_figures, tune_thresholds
from glove_bilstm.training.sampling import LengthGroupedBatches

RESULTS = Path(__file__).with_suffix(".jsonl")
SEARCH = RESULTS.with_stem("options_search")
EPOCHS = {"trec": 20, "sst2": 5, "goemotions": 5, "imdb": 5}
"""Of the tuned recipe, for TREC by its least number of steps."""
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
        logits[rows] = model(model.look_up(ids), lengths)
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
    model = Classifier(options, data.matrix, 1 + max(int(text.max()) for text in data.train), data.labels)
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
            logits = model(vectors, lengths)
            loss = loss_of(logits, labels)
            if options.r_drop:
                loss = _r_drop(loss, logits, model(vectors, lengths), labels, loss_of, options.r_drop)
            if options.adversarial:
                (gradient,) = torch.autograd.grad(loss, vectors, retain_graph=True)
                length = gradient.flatten(1).norm(dim=1)[:, None, None] / lengths[:, None, None].sqrt()
                shifted = vectors + options.adversarial * gradient / (length + 1e-12)
                loss = loss + loss_of(model(shifted, lengths), labels)
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
        "precision": "float32",
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
                done = [
                    line["seed"]
                    for line in read(told.results)
                    if (line["data"], line["changed"], line["precision"]) == (name, change, "float32")
                ]
                if told.seed not in done:
                    print(f"{name}, seed {told.seed}: {change or 'the base'}", flush=True)
                    measure(name, Options(**change), told.seed, told.data, told.results)
    elif told.data_set:
        options = Options(**{field.name: getattr(told, field.name) for field in fields(Options)})
        measure(told.data_set, options, told.seed, told.data, told.results)
    if told.plan or told.table:
        told.results.with_suffix(".md").write_text(table(read(told.results), read(SEARCH)), encoding="utf-8")


if __name__ == "__main__":
    main()
