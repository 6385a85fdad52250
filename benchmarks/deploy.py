"""What an exported model costs and gains, beside the same model in torch.

    python benchmarks/deploy.py --output benchmarks/deploy.md        # keep the machine idle

Trains a classic model for each data set (kept in out/deploy: remove it to train anew), exports it, and lets the model
in torch, the float32 and the int8 export take turns: one text, many texts, a process from its start to its first
answer; and compares accuracy on the test split. Without the data sets beside the package it takes the bundled reviews.
"""

import argparse
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from speed import Settings
from speed_models import PlainBiLSTM, read_demo, read_texts
from speed_table import table

from glove_bilstm.hub.assessment import processor_name
from glove_bilstm.inference import OnnxClassifier
from glove_bilstm.inference.bulk import predict_logits
from glove_bilstm.inference.loading import load_classifier

ROOT = Path(__file__).parents[1]
VARIANTS = {
    "float32": [],
    "float16 embedding": ["--embedding_dtype", "float16"],
    "int8": ["--quantize", "int8"],
    "int8, 10,000 words": ["--quantize", "int8", "--vocabulary_size", "10000"],
}
WORDS = 20
VERSIONS = ("torch", "transformers", "onnxruntime", "tokenizers")
FIRST_ANSWER = {
    "in torch, `pipeline`": """
import glove_bilstm
from transformers import pipeline
print(pipeline("text-classification", model={torch!r})("What a lovely surprise."))
""",
    "exported, `OnnxClassifier`": """
from onnx_classifier import OnnxClassifier
print(OnnxClassifier({onnx!r})("What a lovely surprise."))
""",
}


class Served:
    """A trained model, in torch and exported, and texts to compare them on."""

    def __init__(self, name: str, data: Path, settings: Settings, work: Path) -> None:
        real = data.is_dir()
        self.name = name if real else "bundled reviews"
        steps = settings.size(600 if name == "sst2" else 300)
        self.folder = work / f"{name}-{steps}"
        vectors = str(data / "vectors" / "glove.reviews.300d.txt.gz") if real else "demo"
        source = str(data / name) if real else "demo"
        if not (self.folder / "config.json").is_file():
            self._run("train", "--recipe", "classic", "--dataset", source, "--vectors", vectors,
                      "--output_dir", str(self.folder), "--overwrite", "--max_steps", str(steps),
                      "--max_length", "200")  # fmt: skip
        self.texts, self.labels = read_texts(data, name, "test") if real else read_demo("test")
        chosen = random.Random(0).sample(range(len(self.texts)), min(len(self.texts), settings.size(5_000)))
        self.texts, self.labels = [self.texts[one] for one in chosen], [self.labels[one] for one in chosen]
        self.model, self.tokenizer = load_classifier(str(self.folder), "float32")
        self.exported = {}
        for variant, options in VARIANTS.items():
            if "--vocabulary_size" in options and self.model.config.vocab_size < int(options[-1]):
                continue
            output = self.folder / f"onnx {variant}"
            self._run("export", "--model", str(self.folder), "--output", str(output), *options,
                      "--max_accuracy_drop", "1")  # fmt: skip
            self.exported[variant] = OnnxClassifier(output)

    @staticmethod
    def _run(*arguments: str) -> None:
        command = [sys.executable, "-m", "glove_bilstm.scripts.main", *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def size(self, variant: str) -> float:
        """Megabytes of a variant's folder."""
        return sum(file.stat().st_size for file in (self.folder / f"onnx {variant}").iterdir()) / 1e6


def one_text(served: Served, settings: Settings) -> list[str]:
    """The latency of one text, without splitting it."""
    vocabulary = served.model.config.vocab_size
    ids = [random.Random(seed).choices(range(2, vocabulary), k=WORDS) for seed in range(settings.size(200))]
    plain = plain_module(served)

    @torch.inference_mode()
    def plainly(number: int) -> None:
        plain(torch.tensor([ids[number]]), torch.tensor([WORDS]))

    @torch.inference_mode()
    def in_torch(number: int) -> None:
        served.model(torch.tensor([ids[number]]), torch.ones(1, WORDS, dtype=torch.long))

    runs: dict[str, Callable[[int], object]] = {
        "plain torch module": plainly,
        "glove-bilstm in torch": in_torch,
        "exported, float32": lambda number: served.exported["float32"].forward([ids[number]]),
        "exported, int8": lambda number: served.exported["int8"].forward([ids[number]]),
    }
    # Turns of many texts: right after another's turn, threads that still wait for its work are in the way.
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(settings.repeats):
        for name, call in runs.items():
            for number in range(len(ids)):
                start = time.perf_counter()
                call(number)
                if number >= len(ids) // 2:
                    times[name].append(time.perf_counter() - start)
    medians = {name: float(np.median(seconds)) for name, seconds in times.items()}
    first = medians["plain torch module"]
    return table(
        ["", "one text", "× plain"],
        [[name, f"{1e3 * seconds:.2f} ms", f"{seconds / first:.2f}"] for name, seconds in medians.items()],
    )


def plain_module(served: Served) -> Callable:
    """The architecture as one would write it, with the trained weights."""
    config = served.model.config
    plain = PlainBiLSTM(config.vocab_size, config.hidden_size, dim=config.embedding_dim).eval()
    plain.embedding.weight.data = served.model.get_input_embeddings().weight.data
    plain.lstm.load_state_dict(served.model.glove_bilstm.lstm.state_dict())
    plain.linear.load_state_dict(served.model.classifier.state_dict())
    return plain


def many_texts(served: Served, settings: Settings) -> list[str]:
    """Texts a second, splitting them included, all cores."""
    texts = served.texts[: settings.size(1_800 if served.name == "sst2" else 320)]
    found = settings.measure(
        {
            "glove-bilstm in torch": lambda: list(predict_logits(served.model, served.tokenizer, texts)),
            "exported, float32": lambda: list(served.exported["float32"].logits(texts)),
            "exported, int8": lambda: list(served.exported["int8"].logits(texts)),
        }
    )
    first = found["glove-bilstm in torch"]
    return table(
        ["", "texts/s", "× torch"],
        [[name, f"{len(texts) / seconds:,.0f}", f"{first / seconds:.2f}"] for name, seconds in found.items()],
    )


def start(served: Served, settings: Settings) -> list[str]:
    """From the start of a process to its first answer."""
    onnx = served.folder / "onnx int8"

    def begin(code: str) -> Callable[[], object]:
        filled = code.format(torch=str(served.folder), onnx=str(onnx))
        environment = {**os.environ, "PYTHONPATH": str(onnx)}
        return lambda: subprocess.run([sys.executable, "-c", filled], check=True, env=environment, capture_output=True)

    found = settings.measure({name: begin(code) for name, code in FIRST_ANSWER.items()})
    return table(["", "to the first answer"], [[name, f"{seconds:.2f} s"] for name, seconds in found.items()])


def accuracy(served: Served) -> list[str]:
    """Accuracy on test texts, and size."""
    labels = np.array(served.labels)
    expected = np.stack([one.numpy() for one in predict_logits(served.model, served.tokenizer, served.texts)])
    right = float((expected.argmax(axis=1) == labels).mean())
    weights = (served.folder / "model.safetensors").stat().st_size / 1e6
    rows = [["in torch (`model.safetensors`)", f"{weights:.1f} MB", f"{100 * right:.2f}", "", ""]]
    for variant, classify in served.exported.items():
        found = np.stack(list(classify.logits(served.texts)))
        share = float((found.argmax(axis=1) == labels).mean())
        largest = np.abs(found - expected).max()
        rows.append(
            [variant, f"{served.size(variant):.1f} MB", f"{100 * share:.2f}", f"{100 * (share - right):+.2f}",
             f"{largest:.1g}"]
        )  # fmt: skip
    return table(["", "size", "accuracy", "against torch", "largest difference of a logit"], rows)


def main() -> None:
    """Measure, print the tables, and write them to a file if one is given."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, help="write the tables to this file")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--repeats", type=int, default=5, help="default: 5")
    parser.add_argument("--share", type=float, default=1.0, help="of the sizes; default: 1")
    options = parser.parse_args()
    command = f"python benchmarks/deploy.py --repeats {options.repeats}" + (
        f" --share {options.share}" if options.share != 1 else ""
    )
    threads = torch.get_num_threads()
    parts = [
        f"# Deployment\n\n`{command}`, {time.strftime('%Y-%m-%d')}: {processor_name()}, {threads} threads, Python "
        f"{platform.python_version()}, {', '.join(f'{name} {version(name)}' for name in VERSIONS)}. Classic models, "
        f"frozen, trained for a few hundred steps. One text: {WORDS} words, splitting left out. Many texts: medians "
        f"of {options.repeats} turns, splitting included."
    ]
    with tempfile.TemporaryDirectory() as temporary:
        work = ROOT / "out" / "deploy" if options.data.is_dir() else Path(temporary)
        settings = Settings(options.data, work, options.repeats, options.share)
        for name in ("sst2", "imdb") if options.data.is_dir() else ("demo",):
            served = Served(name, options.data, settings, work)
            print(served.name, file=sys.stderr)
            sections = [one_text(served, settings), many_texts(served, settings), start(served, settings)]
            sections.append(accuracy(served))
            title = f"## {served.name}: {len(served.texts):,} test texts"
            parts.append("\n\n".join([title, *("\n".join(lines) for lines in sections)]))
    text = "\n\n".join(parts) + "\n"
    print(text)
    if options.output:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
