"""The page of the benchmark of options."""

import statistics
from collections import defaultdict
from typing import Any

HEAD = """# Options

What each option that the literature recommends for this architecture is worth here, on validation alone: no test
split was opened. `python benchmarks/options.py --plan` measures what is missing and writes this page; every run, with
its figures after each epoch, is a line of a .jsonl file beside it. SST-2 is validated on its 872 sentences and on
1,100 more, held out of the training split with all their phrases. Figures: the best epoch's accuracy in per cent
(GoEmotions: macro F1 with tuned thresholds), the mean over runs, whose number stands behind it.

What the names in the tables mean, where they aren't those of `glove-bilstm train`: `rare` is
`--min_frequency_without_vector`; `positive_weight` the power of negatives / positives that a label's positives
weigh (0.5: `--class_weights balanced_sqrt`); `second_rate` the second stage's rate as a share of the first one's,
and `embedding_rate` the embedding's of the others' (both: `--embedding_learning_rate`); `schedule` is
`--lr_scheduler_type`. Not in the package: `ema` (decay of averaged weights), `variational` and `locked` (one
dropout mask for all words of a text, on the vectors and between the layers), `word_dropout` (of whole words),
`weight_drop` (dropout on the recurrent weights), `adversarial` (length of a perturbation of the vectors) and
`batch_tokens` (batches of so many tokens, padding included).

## One thing changed

The base is the tuned recipe as it was before this table: two layers of 200; mean and maximum side by side; dropout of
0.5 on the vectors, between the layers and before the classifier; vectors trained along at 0.3 of the rate; R-Drop;
averaged weights; a rate that falls linearly. A change's figure is its mean difference to the base with the same seeds
and in the same precision (bfloat16 for the products of the first 24 runs, float32 since), and behind it the standard
error of that mean. The runs are in [options.jsonl](options.jsonl).

What came of it: words that the vectors lack and that occur once are read as unknown ("rare 2"; with nothing rare, the
unknown word is never trained, and at the end there are such words all the same). Averaging gained nothing, so the
package doesn't have it any more. Attention, the maximum alone, locked dropout, a cosine schedule and batches of equal
numbers of tokens made no difference that can be told from noise; of these the package has the poolings, and
transformers the schedule, all of which were there before. Variational dropout, dropout of whole words and of recurrent
weights were ahead in their one pair each, by less than seeds differ: not enough to have them. R-Drop lowers the loss
in every run, and gains on SST-2 in both of its pairs (here and below); on TREC its gain is noise.

"""

SEARCH = """
## How the recipe was found

By trial, and before the table above: nearly all is one run each; most rows with several changes have no partner that
differs in one thing alone; and of some twenty settings the best looks better than it is. A point or less between
single runs is noise. The base of these: two stages, the second from half of training at 0.3 of the rate; maximum
pooling; dropout of 0.2 on the vectors; between the layers, one mask of dropout for all words of a text. A change's
figure is its difference to the base with the same seeds or, where the base wasn't run with them, its own without a
sign. The runs are in [options_search.jsonl](options_search.jsonl).

Two runs on GoEmotions were stopped and have no line: fine-tuning at 0.002 with maximum pooling, dropout 0.2 and ten
epochs, at 48.5 after five; and weights that balance all of the way, at 34.5 after one, where the same with their
square roots had 43.4.

"""


def table(lines: list[dict[str, Any]], search: list[dict[str, Any]]) -> str:
    """The page, from the lines of options.jsonl and of options_search.jsonl."""
    return HEAD + _rows(lines, "the base") + SEARCH + _rows(search, "the base")


def _rows(lines: list[dict[str, Any]], base_name: str) -> str:
    scores: dict[str, dict[str, dict[tuple[int, str], float]]] = defaultdict(lambda: defaultdict(dict))
    for line in lines:
        change = ", ".join(f"{name} {value}" for name, value in line["changed"].items())
        scores[change][line["data"]][line["seed"], line["precision"]] = 100 * line["best"]
    names = sorted({line["data"] for line in lines})
    rows = []
    for change, by_data in scores.items():
        cells = []
        for name in names:
            by_run, base = by_data[name], scores[""][name]
            shared = by_run.keys() & base.keys()
            if by_run and not (change and shared):
                cells.append(f"{statistics.mean(by_run.values()):.1f} ({len(by_run)})")
            elif shared:
                differences = [by_run[run] - base[run] for run in sorted(shared)]
                cells.append(f"{statistics.mean(differences):+.1f}{_error(differences)} ({len(shared)})")
            else:
                cells.append("")
        rows.append(f"| {change or base_name} | {' | '.join(cells)} |")
    return "\n".join([f"| changed | {' | '.join(names)} |", f"|---|{'---|' * len(names)}", *rows]) + "\n"


def _error(values: list[float]) -> str:
    """The standard error of a mean, where there is one."""
    return f" ± {statistics.stdev(values) / len(values) ** 0.5:.1f}" if len(values) > 1 else ""
