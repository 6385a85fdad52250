"""How fast this package is, beside a plain torch module, a transformer and a linear model, and how near to the limit.

    python benchmarks/speed.py --output benchmarks/speed.md                  # everything; keep the machine idle
    python benchmarks/speed.py --sections bulk one                           # some of it, on the terminal
    python benchmarks/speed.py --device cuda --output benchmarks/speed-gpu.md    # what computes on a GPU, there

Contestants take turns, in one order and then the other, and medians are compared, so that a busy machine slows all of
them alike. The limit is the rate of a large float32 matrix product, measured in the same turns: a share of it is the
LSTM's own products, padding and all else left out, over that rate. Weights are random (speed doesn't depend on them),
but for the section on precision, which trains. Without the data sets beside the package, the bundled reviews are read.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import speed_sections
import torch

from glove_bilstm.hub.assessment import processor_name

GEMM = 2048
"""Rows and columns of the matrices whose product is the limit."""
VERSIONS = ("torch", "transformers", "tokenizers", "scikit-learn")


@dataclass
class Settings:
    """How much is measured.

    Attributes:
        data: The folder of the data sets; where it isn't, the bundled reviews are read.
        work: A folder for files.
        repeats: Turns of each contestant.
        share: Of the sizes: less than 1 to try whether the benchmark runs.
        device: Where the models compute.
    """

    data: Path
    work: Path
    repeats: int = 5
    share: float = 1.0
    device: str = "cpu"
    operand: torch.Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.operand = torch.ones(GEMM, GEMM, device=self.device)

    def size(self, number: int, least: int = 8) -> int:
        """A size, in this share."""
        return max(least, round(number * self.share))

    def measure(self, contestants: dict[str, Callable[[], object]]) -> dict[str, float]:
        """Let them take turns: each one's median seconds, after a turn that doesn't count."""
        times: dict[str, list[float]] = {name: [] for name in contestants}
        for turn in range(self.repeats + 1):
            for name in list(contestants) if turn % 2 else reversed(contestants):
                start = time.perf_counter()
                contestants[name]()
                self.wait()
                if turn:
                    times[name].append(time.perf_counter() - start)
            print(".", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        return {name: statistics.median(seconds) for name, seconds in times.items()}

    def wait(self) -> None:
        """Wait until the device has done what it was given."""
        if self.device != "cpu":
            torch.accelerator.synchronize()

    def multiply(self) -> None:
        """A product that tells the machine's limit; see `rate`."""
        self.operand @ self.operand

    @staticmethod
    def rate(seconds: float) -> float:
        """FLOP/s, where `multiply` takes so many seconds."""
        return 2 * GEMM**3 / seconds


def main() -> None:
    """Measure, print the tables, and write them to a file if one is given."""
    names = list(speed_sections.SECTIONS)
    of_models = speed_sections.OF_MODELS
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, help="write the tables to this file, and a picture beside it")
    parser.add_argument("--sections", nargs="+", choices=names, metavar="NAME", help=" ".join(names))
    parser.add_argument("--device", default="cpu", help=f"default: cpu; another is measured by {' '.join(of_models)}")
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--repeats", type=int, default=5, help="default: 5")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="default: all")
    parser.add_argument("--share", type=float, default=1.0, help="of the sizes; default: 1")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    changed = {"device": options.device != "cpu", "share": options.share != 1}
    told = "".join(f" --{name} {getattr(options, name)}" for name, differs in changed.items() if differs)
    command = f"python benchmarks/speed.py --repeats {options.repeats}{told}"
    device = "" if options.device == "cpu" else f"{torch.cuda.get_device_name(options.device)}; "
    parts = [
        f"# Speed\n\n`{command}`, {time.strftime('%Y-%m-%d')}: {device}{processor_name()}, {options.threads} threads, "
        f"Python {platform.python_version()}, {', '.join(f'{name} {version(name)}' for name in VERSIONS)}. Medians of "
        f"{options.repeats} turns."
    ]
    growth = None
    with tempfile.TemporaryDirectory() as work:
        settings = Settings(options.data, Path(work), options.repeats, options.share, options.device)
        for name in options.sections or (names if options.device == "cpu" else of_models):
            print(name, end=" ", file=sys.stderr, flush=True)
            title, lines, points = speed_sections.SECTIONS[name](settings)
            growth = points or growth
            parts.append(f"## {title}\n\n" + "\n".join(lines))
    text = "\n\n".join(parts) + "\n"
    print(text)
    if options.output:
        if growth:
            picture = options.output.with_suffix(".png")
            speed_sections.draw_growth(growth, picture)
            text += f"\n![Seconds over length, batch, hidden size, vocabulary and number of texts]({picture.name})\n"
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
