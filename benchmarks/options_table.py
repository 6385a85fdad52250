"""The page of the benchmark of options."""

import statistics
from collections import defaultdict
from typing import Any

HEAD = """# Options

What each option that the literature recommends for this architecture is worth here, on validation alone: no test
split was opened. `python benchmarks/options.py --plan` measures what is missing and writes this page; every run, with
its figures after each epoch, is a line of [options.jsonl](options.jsonl).

The base: two stages, the second from half of training at 0.3 of the rate; two layers of 200; max pooling; averaged
weights. SST-2 is validated on its 872 sentences and on 1,100 more, held out of the training split with all
their phrases. Figures: the best epoch's accuracy in per cent (GoEmotions: macro F1 with tuned thresholds), the mean
over seeds, whose number stands behind it; a change's figure is its difference to the base with the same seeds or,
where the base wasn't run with them, its own without a sign. A point or less between single runs is noise.

What the tuned recipe makes of it: vectors trained along, at 0.3 of the rate; mean and maximum side by side; R-Drop;
dropout of 0.5 on the vectors, as in the plain architecture; averaged weights; for several labels, positives weighed
by the square root of how rare they are. That is a choice, not a proof. Nearly all is one run each; most rows with
several changes have no partner that differs in one thing alone; and of some twenty settings the best looks better
than it is. R-Drop and the pooling each gained less than what is noise here. Clear of it are fine-tuning from the
start on TREC, the loss by adversarial training on SST-2, and on GoEmotions the weights (50.7 against 47.0, though
with word dropout too). Weight-drop, label smoothing, word dropout and one mask of dropout for a whole text changed
nothing that could be told from noise, so of these the package has only the smoothing, which is transformers' own
option.

Two runs on GoEmotions were stopped and have no line: fine-tuning at 0.002 with maximum pooling, dropout 0.2 and ten
epochs, at 48.5 after five; and weights that balance all of the way, at 34.5 after one, where the same with their
square roots had 43.4. Attention, the schedule, averaging, batches by number of tokens and dropout between layers
without locked masks weren't compared yet.

"""


def table(lines: list[dict[str, Any]]) -> str:
    """The page, from the lines of options.jsonl."""
    scores: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for line in lines:
        change = ", ".join(f"{name} {value}" for name, value in line["changed"].items())
        scores[change][line["data"]][line["seed"]] = 100 * line["best"]
    names = sorted({line["data"] for line in lines})
    rows = []
    for change, by_data in scores.items():
        cells = []
        for name in names:
            by_seed, base = by_data[name], scores[""][name]
            shared = by_seed.keys() & base.keys()
            if by_seed and not (change and shared):
                cells.append(f"{statistics.mean(by_seed.values()):.1f} ({len(by_seed)})")
            elif shared:
                difference = statistics.mean(by_seed[seed] - base[seed] for seed in shared)
                cells.append(f"{difference:+.1f} ({len(shared)})")
            else:
                cells.append("")
        rows.append(f"| {change or 'the base'} | {' | '.join(cells)} |")
    header = f"| changed | {' | '.join(names)} |\n|---|{'---|' * len(names)}"
    return HEAD + "\n".join([header, *rows]) + "\n"
