"""The sections of benchmarks/speed.py: each measures one thing, and gives a title, a table, and points to draw."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import speed_training
import torch
from speed_models import (
    BATCH,
    DIM,
    SMALL_BATCH,
    Contestants,
    PlainBiLSTM,
    batches,
    flop_per_token,
    padded,
    random_texts,
    read_demo,
    read_texts,
)
from speed_table import table
from transformers import pipeline

from glove_bilstm import GloveBiLSTMConfig, GloveBiLSTMForSequenceClassification, build_tokenizer, build_vocabulary
from glove_bilstm.inference.bulk import predict_logits
from glove_bilstm.tokenization.word_level import encode_texts

if TYPE_CHECKING:
    from speed import Settings

Points = dict[str, list[tuple[float, float]]]
"""By what grows: its sizes, and seconds."""
Section = tuple[str, list[str], Points | None]
WAIT = """
import os, subprocess, sys, time
begun = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(time.perf_counter() - begun, usage.ru_maxrss * 1024 / 1e6, os.waitstatus_to_exitcode(status))
"""
"""Runs a command and prints its seconds, its peak of memory in MB and its status. In a process of its own, for a peak
counts from the fork, when it is that of the parent."""


def corpora(settings: "Settings") -> dict[str, tuple[list[str], list[int]]]:
    """What is read, by name: sentences and reviews, or the bundled reviews."""
    if not settings.data.is_dir():
        return {"bundled reviews": read_demo("train", settings.size(2_000))}
    # Enough of them that texts of about one length go together, as they do where there are many.
    reviews = 1_280 if settings.device == "cpu" else 2_560
    return {
        "SST-2, sentences": read_texts(settings.data, "sst2", "test", settings.size(1_821)),
        "IMDB, reviews": read_texts(settings.data, "imdb", "test", settings.size(reviews)),
    }


def bulk(settings: "Settings") -> Section:
    """Texts a second, of everything that reads texts."""
    lines = [
        line for name, (texts, labels) in corpora(settings).items() for line in _bulk(settings, name, texts, labels)
    ]
    about = (
        f"Tokenizing included. Of the transformer, the first texts alone: in batches of {BATCH} as they come, to "
        f"which the ratio is, or sorted by length by who calls it, in batches of {small_batch(settings)}."
    )
    return "Many texts", [*lines, about], None


def small_batch(settings: "Settings") -> int:
    """Texts at a time for the transformer, where they are sorted."""
    return SMALL_BATCH if settings.device == "cpu" else BATCH


def _bulk(settings: "Settings", name: str, texts: list[str], labels: list[int]) -> list[str]:
    both = Contestants(texts, labels, read_demo("train")[0], settings.device)
    few = min(len(texts), settings.size((96 if "IMDB" not in name else 24) * (1 if settings.device == "cpu" else 10)))
    size = small_batch(settings)
    readers: dict[str, tuple[int, Callable[[], object]]] = {
        "plain torch module": (len(texts), both.read_plainly),
        **{f"glove-bilstm, {kind}": (len(texts), both.read(model)) for kind, model in both.models.items()},
        **{f"glove-bilstm, {kind}, bfloat16": (len(texts), both.read(model)) for kind, model in both.rough.items()},
        "DistilBERT's size, pipeline": (few, both.read_with_transformer(few)),
        "DistilBERT's size, pipeline, sorted": (few, both.read_with_transformer(few, size, by_length=True)),
        "TF-IDF + logistic regression": (len(texts), lambda: both.linear.predict_proba(texts)),
    }
    if both.rough:
        rough = both.read_with_transformer(few, size, by_length=True, rough=True)
        readers["DistilBERT's size, bfloat16, pipeline, sorted"] = (few, rough)
    seconds = settings.measure({"limit": settings.multiply} | {key: one[1] for key, one in readers.items()})
    limit = settings.rate(seconds["limit"])
    speed = {key: number / seconds[key] for key, (number, _) in readers.items()}
    flop = {"plain torch module": flop_per_token(both.models["classic"].config)}
    flop |= {f"glove-bilstm, {kind}": flop_per_token(model.config) for kind, model in both.models.items()}
    plain, transformer = speed["plain torch module"], speed["DistilBERT's size, pipeline"]
    rows = [
        [
            key,
            f"{rate:,.0f}",
            f"{rate / plain:.2f}",
            f"{rate / transformer:.1f}",
            f"{both.tokens * flop[key] / seconds[key] / limit:.0%}" if key in flop else "",
        ]
        for key, rate in speed.items()
    ]
    about = f"{len(texts):,} texts, {both.tokens / len(texts):.0f} words on average; limit {limit / 1e9:.0f} GFLOP/s."
    return [f"**{name}**: {about}", "", *table(["", "texts/s", "× plain", "× transformer", "of the limit"], rows), ""]


@torch.no_grad()  # not inference_mode: nobody makes models in it
def one(settings: "Settings") -> Section:
    """One text through the model, ids to logits."""
    config = GloveBiLSTMConfig(vocab_size=5_000, embedding_dim=DIM, num_labels=2)
    model, plain = (
        one.eval().to(settings.device) for one in (GloveBiLSTMForSequenceClassification(config), PlainBiLSTM(5_000))
    )
    rows = []
    for words in (1, 5, 20, 60, 200):
        times: dict[str, list[float]] = {"plain": [], "ours": []}
        for turn, ids in enumerate(random_texts(settings.size(100), words, 5_000)):
            for name in ("plain", "ours") if turn % 2 else ("ours", "plain"):
                start = time.perf_counter()
                if name == "plain":
                    given, lengths = padded([ids])
                    plain(given.to(settings.device), lengths).cpu()
                else:
                    given = torch.tensor([ids], device=settings.device)
                    model(input_ids=given, attention_mask=torch.ones_like(given)).logits.cpu()
                times[name].append(time.perf_counter() - start)
        middle = {name: statistics.median(seconds) for name, seconds in times.items()}
        rows.append(
            [
                str(words),
                f"{middle['plain'] * 1e3:.2f} ms",
                f"{middle['ours'] * 1e3:.2f} ms",
                f"{middle['ours'] / middle['plain']:.2f}",
            ]
        )
    header = ["words", "plain torch module", "glove-bilstm", "ratio"]
    return "One text", [*table(header, rows), "", "Medians of 100 texts, taking turns."], None


@torch.no_grad()
def pipe(settings: "Settings") -> Section:
    """What `pipeline` costs over the tokenizer and the model."""
    texts, _ = next(iter(corpora(settings).values()))
    texts = texts[: settings.size(512)]
    tokenizer = build_tokenizer(build_vocabulary(texts))
    config = GloveBiLSTMConfig(vocab_size=len(tokenizer), embedding_dim=DIM, num_labels=2)
    model = GloveBiLSTMForSequenceClassification(config).eval().to(settings.device)
    classify = pipeline("text-classification", model=model, tokenizer=tokenizer, device=settings.device)
    alone = texts[: settings.size(100)]

    def directly(chosen: list[str], size: int) -> None:
        for batch in batches(chosen, size):
            given = tokenizer(batch, padding=size > 1, return_tensors="pt").to(settings.device)
            model(**given).logits.softmax(dim=-1).tolist()

    seconds = settings.measure(
        {
            "direct, one": lambda: directly(alone, 1),
            "pipeline, one": lambda: [classify(text) for text in alone],
            "direct, batches": lambda: directly(texts, BATCH),
            "pipeline, batches": lambda: list(classify(texts, batch_size=BATCH)),
            "sorted batches, threads": lambda: list(predict_logits(model, tokenizer, texts, BATCH)),
        }
    )
    rows = []
    for what, number in (("one", len(alone)), ("batches", len(texts))):
        direct, piped = seconds[f"direct, {what}"] / number, seconds[f"pipeline, {what}"] / number
        rows.append(
            [what, f"{direct * 1e3:.2f} ms", f"{piped * 1e3:.2f} ms", f"{(piped - direct) * 1e3:.2f} ms",
             f"{piped / direct - 1:.0%}"]
        )  # fmt: skip
    header = ["texts at a time", "tokenizer + model, a text", "pipeline, a text", "more", "in percent"]
    bare = seconds["sorted batches, threads"] / len(texts)
    return "`pipeline`", [*table(header, rows), "", f"`glove-bilstm predict`: {bare * 1e3:.2f} ms a text."], None


def tokenizing(settings: "Settings") -> Section:
    """Texts a second that are tokenised."""
    rows = [row for name, (texts, _) in corpora(settings).items() for row in _tokenizing(settings, name, texts)]
    return "Tokenizing", table(["", "", "texts/s", "of Rust's"], rows), None


def _tokenizing(settings: "Settings", name: str, texts: list[str]) -> list[list[str]]:
    many = (texts * 20)[: settings.size(20_000 if "IMDB" not in name else 2_000)]
    tokenizer = build_tokenizer(build_vocabulary(texts))
    backend = tokenizer.backend_tokenizer
    seconds = settings.measure(
        {
            "Rust tokenizer alone": lambda: backend.encode_batch_fast(many),
            "glove-bilstm": lambda: encode_texts(tokenizer, many),
            "calling the tokenizer": lambda: tokenizer(many),
        }
    )
    alone = seconds["Rust tokenizer alone"]
    return [[name, key, f"{len(many) / value:,.0f}", f"{alone / value:.0%}"] for key, value in seconds.items()]


def start(settings: "Settings") -> Section:
    """How long it takes until something can be done, in new processes."""
    folder = settings.work / "model"
    tokenizer = build_tokenizer([f"w{number}" for number in range(settings.size(100_000))])
    config = GloveBiLSTMConfig(vocab_size=len(tokenizer), embedding_dim=100, num_labels=2)
    GloveBiLSTMForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    clock = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"
    classes = "from transformers import AutoModelForSequenceClassification, AutoTokenizer"
    load = f"AutoModelForSequenceClassification.from_pretrained({str(folder)!r})"
    codes = {
        "`import transformers`": clock.format("import transformers"),
        "`import glove_bilstm` after it": "import transformers; " + clock.format("import glove_bilstm"),
        "`import transformers, glove_bilstm` and the Auto classes": clock.format(f"import glove_bilstm; {classes}"),
        "`from_pretrained`, 100,000 × 100, the first in its process": f"import glove_bilstm; {classes}; "
        "from glove_bilstm import GloveBiLSTMForSequenceClassification; " + clock.format(load),
        "its tokenizer": f"import glove_bilstm; {classes}; "
        + clock.format(f"AutoTokenizer.from_pretrained({str(folder)!r})"),
    }
    measured: dict[str, list[float]] = {}
    for _ in range(settings.repeats):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-m", "glove_bilstm.scripts.main", "--help"], check=True, capture_output=True)
        measured.setdefault("`glove-bilstm --help`", []).append(time.perf_counter() - begun)
        for name, code in codes.items():
            done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
            measured.setdefault(name, []).append(float(done.stdout))
    rows = [[name, f"{statistics.median(seconds):.3f} s"] for name, seconds in measured.items()]
    return "Start", table(["", "median"], rows), None


def memory(settings: "Settings") -> Section:
    """The peak of memory of the commands, in processes of their own."""
    folder = settings.work / "small-model"
    words = [f"w{number}" for number in range(1_000)]
    tokenizer = build_tokenizer(words)
    config = GloveBiLSTMConfig(vocab_size=len(tokenizer), embedding_dim=10, hidden_size=8, num_labels=2)
    GloveBiLSTMForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    rows = []
    peaks = {}
    for number in (1, settings.size(10_000), settings.size(100_000), settings.size(1_000_000)):
        texts = settings.work / f"{number}.jsonl"
        with texts.open("w", encoding="utf-8") as file:
            for row in range(number):
                file.write(
                    json.dumps({"text": " ".join(words[(row * 7 + k) % 1_000] for k in range(row % 12))}) + "\n"
                )
        seconds, peaks[number] = run_for_peak(
            ["predict", "--model", folder, "--input", texts, "--output", settings.work / "labelled.jsonl"]
        )
        texts.unlink()
        rows.append(
            [f"{number:,}", f"{seconds:,.0f} s", f"{peaks[number]:,.0f} MB", f"{peaks[number] - peaks[1]:,.0f} MB"]
        )
    lines = table(["rows of jsonl, 6 words on average", "time", "peak", "above one row's"], rows)
    trained = [
        "train",
        "--recipe",
        "classic",
        "--max_steps",
        settings.size(30, 2),
        "--output_dir",
        settings.work / "trained",
    ]
    _, peak = run_for_peak(trained)
    lines += ["", f"`glove-bilstm train --recipe classic` on the bundled reviews: a peak of {peak:,.0f} MB."]
    return "Memory", lines, None


def run_for_peak(arguments: list[Any]) -> tuple[float, float]:
    """Run a command; its seconds and its peak of memory in MB."""
    command = [sys.executable, "-m", "glove_bilstm.scripts.main", *map(str, arguments)]
    done = subprocess.run([sys.executable, "-c", WAIT, *command], check=True, capture_output=True, text=True)
    seconds, peak, status = map(float, done.stdout.split())
    if status:
        sys.exit(f"{' '.join(command)} failed.")
    return seconds, peak


def growth(settings: "Settings") -> Section:
    """Seconds for the same texts, as one thing grows."""
    base = {"length": 20, "batch": BATCH, "hidden size": 256, "vocabulary": 20_000, "texts": settings.size(512)}
    sizes = {
        "length": [10, 20, 40, 80, 160],
        "batch": [8, 16, 32, 64, 128],
        "hidden size": [64, 128, 256, 512],
        "vocabulary": [1_000, 10_000, 100_000, 1_000_000],
        "texts": [settings.size(number) for number in (256, 512, 1_024, 2_048)],
    }
    points: Points = {}
    rows = []
    for what, steps in sizes.items():
        contestants = {}
        for size in steps:
            chosen = base | {what: size}
            tokenizer = build_tokenizer([str(number) for number in range(chosen["vocabulary"])])
            config = GloveBiLSTMConfig(
                vocab_size=len(tokenizer), embedding_dim=100, hidden_size=chosen["hidden size"], num_labels=2
            )
            model = GloveBiLSTMForSequenceClassification(config).eval().to(settings.device)
            texts = [
                " ".join(map(str, ids))
                for ids in random_texts(chosen["texts"], chosen["length"], chosen["vocabulary"])
            ]
            contestants[str(size)] = reader(model, tokenizer, texts, chosen["batch"])
        seconds = settings.measure(contestants)
        points[what] = [(size, seconds[str(size)]) for size in steps]
        rows.append([what, " · ".join(f"{size:,}: {seconds[str(size)]:.2f}" for size in steps)])
    header = ["what grows", "size: seconds"]
    rest = f"{base['texts']} texts of 20 words, batches of 64, hidden size 256, 20,000 words, unless it grows."
    return "Growth", [*table(header, rows), "", rest], points


def reader(model: Any, tokenizer: Any, texts: list[str], batch_size: int) -> Callable[[], object]:
    """A function that classifies these texts."""
    return lambda: list(predict_logits(model, tokenizer, texts, batch_size))


CONSTANT = ("batch", "vocabulary")
"""What shouldn't make the same texts take longer."""


def draw_growth(points: Points, file: Path) -> None:
    """A picture of how cost grows, both axes logarithmic, with a line of slope 1 beside where it may grow."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    figure = Figure(figsize=(11, 2.6), layout="constrained")
    for axes, (what, measured) in zip(figure.subplots(1, len(points)), points.items(), strict=True):
        sizes, seconds = zip(*measured, strict=True)
        axes.loglog(sizes, seconds, "o-", color="#2b6cb0", label="measured")
        if what not in CONSTANT:
            middle = len(sizes) // 2
            linear = [seconds[middle] * size / sizes[middle] for size in sizes]
            axes.loglog(sizes, linear, "--", color="#888888", label="in proportion")
        axes.set_xlabel(what)
        axes.set_ylim(min(seconds) / 3, max(seconds) * 3)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.tick_params(axis="y", labelsize=7)
        axes.minorticks_off()
        large = max(sizes) >= 100_000
        axes.set_xticks(sizes, [f"{size / 1000:,g}k" if large else f"{size:,}" for size in sizes], fontsize=7)
    figure.axes[0].set_ylabel("seconds")
    figure.axes[0].legend(fontsize=7)
    figure.savefig(file, dpi=110)


SECTIONS: dict[str, Callable[["Settings"], Section]] = {
    "bulk": bulk,
    "one": one,
    "pipeline": pipe,
    "precision": speed_training.precision,
    "training": speed_training.training,
    "vocabulary": speed_training.vocabulary,
    "tokenizing": tokenizing,
    "start": start,
    "memory": memory,
    "growth": growth,
}
OF_MODELS = ("bulk", "one", "pipeline", "training", "vocabulary", "growth")
"""Those which another device than the CPU changes."""
