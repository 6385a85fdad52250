"""The sections of benchmarks/speed.py that train."""

import statistics
import time
from typing import TYPE_CHECKING, Any

import torch
from datasets import Dataset
from speed_models import (
    BATCH,
    DIM,
    PlainBiLSTM,
    make_distilbert,
    make_word_pieces,
    padded,
    random_texts,
    read_demo,
    read_texts,
)
from speed_table import table
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_
from transformers import Trainer, TrainerCallback, TrainingArguments

from glove_bilstm import (
    GloveBiLSTMConfig,
    GloveBiLSTMForSequenceClassification,
    GloveBiLSTMTrainer,
    GloveBiLSTMTrainingArguments,
    build_tokenizer,
    build_vocabulary,
)
from glove_bilstm.inference.bulk import evaluate_texts, predict_logits
from glove_bilstm.inference.loading import load_classifier
from glove_bilstm.tokenization.word_level import encode_texts
from glove_bilstm.training.arguments import DataArguments, ModelArguments
from glove_bilstm.training.run import train_classifier

if TYPE_CHECKING:
    from speed import Settings

Section = tuple[str, list[str], None]


def quiet(settings: "Settings") -> dict[str, Any]:
    """Training arguments that leave out all but training, on the device that is measured."""
    return {
        "eval_strategy": "no",
        "save_strategy": "no",
        "logging_strategy": "no",
        "report_to": [],
        "use_cpu": settings.device == "cpu",
        "disable_tqdm": True,
        "per_device_train_batch_size": BATCH,
    }


def train_plainly(encoded: list[list[int]], labels: list[int], vocabulary: int, device: str) -> None:
    """The usual loop over all texts once: shuffled batches, padded to the longest; a frozen embedding."""
    model = PlainBiLSTM(vocabulary).train().to(device)
    optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=1e-3)
    order = torch.randperm(len(encoded)).tolist()
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        ids, lengths = padded([encoded[row] for row in rows])
        truth = torch.tensor([labels[row] for row in rows], device=device)
        loss = F.cross_entropy(model(ids.to(device), lengths), truth)
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


def training(settings: "Settings") -> Section:
    """An epoch with a frozen embedding: the usual loop, our Trainer, and a transformer's Trainer."""
    number = settings.size(6_400, BATCH)
    texts, labels = (
        read_texts(settings.data, "sst2", "train", number) if settings.data.is_dir() else read_demo("train", number)
    )
    tokenizer = build_tokenizer(build_vocabulary(texts))
    encoded = encode_texts(tokenizer, texts)
    dataset = Dataset.from_dict({"input_ids": encoded, "label": labels})
    config = GloveBiLSTMConfig(
        vocab_size=len(tokenizer), embedding_dim=DIM, num_labels=2, problem_type="single_label_classification"
    )
    pieces = make_word_pieces([*texts, *read_demo("train")[0]])
    few = settings.size(256, BATCH)
    pieced = Dataset.from_dict({"input_ids": pieces(texts[:few])["input_ids"], "label": labels[:few]})

    def ours(strategy: str) -> None:
        arguments = GloveBiLSTMTrainingArguments(
            str(settings.work / "ours"), num_train_epochs=1, embedding_strategy=strategy,
            load_best_model_at_end=False, early_stopping_patience=0, **quiet(settings),
        )  # fmt: skip
        model = GloveBiLSTMForSequenceClassification(config)
        GloveBiLSTMTrainer(model=model, args=arguments, train_dataset=dataset, processing_class=tokenizer).train()

    def transformer() -> None:
        arguments = TrainingArguments(str(settings.work / "other"), num_train_epochs=1, **quiet(settings))
        Trainer(make_distilbert(), arguments, train_dataset=pieced, processing_class=pieces).train()

    seconds = settings.measure(
        {
            "plain loop, frozen": lambda: train_plainly(encoded, labels, len(tokenizer), settings.device),
            "glove-bilstm, frozen": lambda: ours("frozen"),
            "glove-bilstm, fine-tuned": lambda: ours("finetune"),
            "DistilBERT's size, Trainer": transformer,
        }
    )
    rates = {name: (few if "Distil" in name else number) / value for name, value in seconds.items()}
    rows = [[name, f"{rate:,.0f}", f"{rate / rates['plain loop, frozen']:.2f}"] for name, rate in rates.items()]
    lines = table(["", "texts/s", "× plain"], rows)
    about = (
        f"One epoch over {number:,} texts, {sum(map(len, encoded)) / number:.0f} words on average, batches of "
        f"{BATCH}, classic architecture; making the Trainer included. The transformer: {few} texts."
    )
    return "Training", [*lines, "", about], None


class _Clock(TrainerCallback):
    """The seconds of each step."""

    def __init__(self, settings: "Settings") -> None:
        self.seconds: list[float] = []
        self._settings = settings

    def on_step_begin(self, *arguments: Any, **kwargs: Any) -> None:
        self._begun = time.perf_counter()

    def on_step_end(self, *arguments: Any, **kwargs: Any) -> None:
        self._settings.wait()
        self.seconds.append(time.perf_counter() - self._begun)


def vocabulary(settings: "Settings") -> Section:
    """A step of fine-tuning with small and large vocabularies."""
    sizes = list(dict.fromkeys([4_000, settings.size(40_000, 4_000), settings.size(400_000, 4_000)]))
    ids = random_texts(settings.size(20 * BATCH, 2 * BATCH), 20, 4_000)
    dataset = Dataset.from_dict({"input_ids": ids, "label": [row % 2 for row in range(len(ids))]})
    steps: dict[tuple[int, bool], list[float]] = {}
    memory: dict[tuple[int, bool], float] = {}
    for turn in range(settings.repeats):
        for size in sizes:
            for sparse in (True, False):
                if not sparse and turn > 1:
                    continue  # seconds a step
                config = GloveBiLSTMConfig(
                    vocab_size=size, embedding_dim=DIM, num_labels=2, problem_type="single_label_classification"
                )
                arguments = GloveBiLSTMTrainingArguments(
                    str(settings.work / "sparse"), embedding_strategy="finetune", sparse_embedding_updates=sparse,
                    max_steps=len(ids) // BATCH if sparse else 4,
                    load_best_model_at_end=False, early_stopping_patience=0, **quiet(settings),
                )  # fmt: skip
                clock = _Clock(settings)
                trainer = GloveBiLSTMTrainer(
                    model=GloveBiLSTMForSequenceClassification(config),
                    args=arguments,
                    train_dataset=dataset,
                    processing_class=build_tokenizer(["a"]),
                    callbacks=[clock],
                )
                trainer.train()
                steps.setdefault((size, sparse), []).extend(clock.seconds[1:])
                states = trainer.optimizer.state[trainer.model.get_input_embeddings().weight].values()
                memory[size, sparse] = sum(one.nbytes for one in states if isinstance(one, torch.Tensor)) / 1e6
    rows = []
    for size in sizes:
        for sparse in (True, False):
            middle = statistics.median(steps[size, sparse])
            ratio = middle / statistics.median(steps[sizes[0], sparse])
            how = "`--sparse_embedding_updates`" if sparse else "dense"
            rows.append(
                [f"{size:,}", how, f"{middle * 1e3:.0f} ms", f"{ratio:.2f}", f"{memory[size, sparse]:,.0f} MB"]
            )
    header = ["words", "", "a step", "× 4,000 words", "optimizer state of the embedding"]
    return "Fine-tuning a large vocabulary", table(header, rows), None


def precision(settings: "Settings") -> Section:
    """What bfloat16 costs in accuracy: one model, read in both, as `predict --dtype` does."""
    dataset, vectors = "demo", "demo"
    if settings.data.is_dir():
        vectors = str(settings.data / "vectors" / "glove.reviews.300d.txt.gz")
        dataset = str(settings.work / "precision")
        for split, number in (("train", settings.size(12_800)), ("validation", None), ("test", None)):
            texts, labels = read_texts(settings.data, "sst2", split, number)
            Dataset.from_dict({"text": texts, "label": labels}).to_json(f"{dataset}/{split}.jsonl")
    arguments = GloveBiLSTMTrainingArguments(
        str(settings.work / "precise"), max_steps=settings.size(600, 4), per_device_train_batch_size=BATCH,
        logging_strategy="no", report_to=[], use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    result = train_classifier(DataArguments(dataset), ModelArguments(vectors=vectors), arguments)
    split = result.data.splits["test"]
    truth = [result.data.labels[label] for label in split["label"]]
    folder = str(settings.work / "precise model")
    result.model.save_pretrained(folder)
    result.tokenizer.save_pretrained(folder)
    rows, logits = [], []
    for name in ("float32", "bfloat16"):
        model, tokenizer = load_classifier(folder, name)
        figures = evaluate_texts(model, tokenizer, split["text"][:], truth)
        logits.append(torch.stack(list(predict_logits(model, tokenizer, split["text"][:]))))
        rows.append([name, f"{figures['accuracy']:.4f}", f"{figures['f1']:.4f}"])
    changed = int((logits[0].argmax(dim=1) != logits[1].argmax(dim=1)).sum())
    difference = float((logits[0] - logits[1]).abs().max())
    lines = table(["", "accuracy", "macro F1"], rows)
    about = (
        f"A classic model, frozen, trained for {result.steps:,} steps; {len(truth):,} test texts, of which {changed} "
        f"get another answer in bfloat16; the largest difference of a logit is {difference:.1g}."
    )
    return "Precision", [*lines, "", about], None
