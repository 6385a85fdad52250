"""The results of the accuracy benchmark as a page of Markdown."""

import statistics
from typing import Any

METHODS = {
    "majority": "the most frequent label",
    "tfidf": "TF-IDF + logistic regression",
    "mean": "mean of the word vectors + logistic regression",
    "random": "BiLSTM, random vectors, fine-tuned",
    "frozen": "BiLSTM, frozen",
    "finetune": "BiLSTM, fine-tuned",
    "two_stage": "BiLSTM, two stages",
    "tuned": "BiLSTM, `--recipe tuned`",
}
NAMES = {"accuracy": "accuracy", "f1": "macro F1", "micro_f1": "micro F1"}
DETERMINISTIC = ("majority", "tfidf", "mean")

HEAD = """# Accuracy

`python benchmarks/accuracy.py` measures what is missing here and writes this page; every result, with the command that
gave it, the commit, the date and what was chosen on validation, is a line of [accuracy.jsonl](accuracy.jsonl).

- **Splits.** Validation is the data set's own or, for TREC and IMDB, 10 % of the training split, cut by class with
  seed 42, the same for every row. Everything is chosen on validation; test is read once for each row and seed.
- **{small:,} texts.** Drawn from the training split by class, others with every seed; validation and test stay whole.
- **Figures.** Per cent, mean ± standard deviation over seeds. A seed draws the {small:,} texts and, for the BiLSTMs,
  the weights and the order. A baseline on all texts has no chance in it but rounding, and is run once.
- **TF-IDF.** 1-2-grams of scikit-learn's own tokens, sublinear. Its size is that of the pickled model.
- **Mean of the word vectors.** The same vectors, splitting and vocabulary as the BiLSTMs; words without a vector don't
  count. Its size is the embedding matrix and the pickled model.
- **Logistic regression.** C from 0.03 to 100 in half decades, with and without balanced class weights, the best on
  validation. Several labels: one model for each, with its own threshold, tuned on validation as the package's is.
- **BiLSTM.** The package: two layers of 256 in each direction, `--recipe classic`, but for the last row, which on
  all of GoEmotions has a rate and a number of epochs of its own, set by validation figures (the plain rows have not).
  Random vectors are those of the same words, drawn from a normal distribution as wide as the real ones. Size is
  `model.safetensors`.
- **IMDB.** The BiLSTMs' training texts are cut at 400 words, they ran with `--bf16 True` (all else in float32),
  which a processor without bfloat16 leaves aside, and the plain ones, with all texts, for 4 epochs at most, not 20.
- **Time.** Training of the one model, the shortest of the seeds', on the threads stated, on machines that did other
  things too, or paused it: a rough figure.
- **Again.** `python benchmarks/accuracy.py --row trec/tuned --seed 0 --results again.jsonl` measures a row anew, and
  writes what the printed commands read under out/accuracy: splits and random vectors. The same command gives the same
  figure where the processor rounds as the first one did, else nearly the same. Of five rows with 1,000 texts that were
  measured a second time, on another machine and at a later commit, three came out equal to the last digit, and two 0.2
  and 0.6 of a point away.
- **Test texts that stand in the training split too.** 11 of TREC's 500, 123 of IMDB's 25,000, about 2 % of
  GoEmotions', case and punctuation aside. They are left in, as others leave them, and make every row look a little
  better than it is.
"""

PUBLISHED = """## Published figures, for orientation

Other, larger vectors and other protocols: these say where the field stands, not what to expect in the tables above.
The plain bidirectional LSTM's and seq-CNN's are as they are commonly cited, and weren't checked against the papers.

| data | model | figure | source |
|---|---|---|---|
| SST-2 | LSTM, 2 layers | 86.3 | Tai et al. 2015, <https://arxiv.org/abs/1503.00075> |
| SST-2 | bidirectional LSTM | 86.7 to 87.5 | Tai et al. 2015 and others after them |
| SST-2 | constituency Tree-LSTM | 88.0 | Tai et al. 2015 |
| SST-2 | CNN, non-static; multichannel | 87.2; 88.1 | Kim 2014, <https://arxiv.org/abs/1408.5882> |
| SST-2 | BLSTM-2DCNN | 89.5 | Zhou et al. 2016, <https://arxiv.org/abs/1611.06639> |
| TREC-6 | CNN, non-static | 93.6 | Kim 2014 |
| TREC-6 | BLSTM-2DCNN | 96.1 | Zhou et al. 2016 |
| IMDB | seq-CNN; seq2-bown-CNN, supervised | 91.6; 92.3 | Johnson and Zhang 2015, <https://arxiv.org/abs/1412.1058> |
| IMDB | BCN + characters + CoVe | 91.8 | McCann et al. 2017, <https://arxiv.org/abs/1708.00107> |
| IMDB | oh-LSTM, with unlabelled reviews | 94.1 | Johnson and Zhang 2016, <https://arxiv.org/abs/1602.02373> |
| GoEmotions | BERT-base, macro F1 | 46 | Demszky et al. 2020, <https://arxiv.org/abs/2005.00547> |
"""


def table(results: list[dict[str, Any]], metrics: dict[str, str], small: int, seeds: int) -> str:
    """The page.

    Args:
        results: The lines of accuracy.jsonl.
        metrics: Data set → what is compared on it, in the order of the page.
        small: Training texts of the low-data regime.
        seeds: How many were asked for; where there are fewer, the table says so.
    """
    rows: dict[str, dict[int, dict[str, Any]]] = {}
    for result in results:
        rows.setdefault(result["row"], {})[result["seed"]] = result
    sections = [HEAD.format(small=small)]
    for dataset, metric in metrics.items():
        lines = []
        for method, name in METHODS.items():
            whole = list(rows.get(f"{dataset}/{method}", {}).values())
            few = list(rows.get(f"{dataset}/{method}/{small}", {}).values())
            if whole or few:
                expected = 1 if method in DETERMINISTIC else seeds
                cells = [*scores(whole, metric, expected), *costs(whole), *scores(few, metric, seeds)]
                lines.append(f"| {name} | {' | '.join(cells)} |")
        if lines:
            sections.append(
                "\n".join([f"## {dataset}\n", about(dataset, rows), "", *header(metric, small), *lines, ""])
            )
    return "\n".join([*sections, PUBLISHED])


def header(metric: str, small: int) -> list[str]:
    """The table's first two lines."""
    name = NAMES[metric] + ", micro F1" * (metric == "f1")
    regimes = [f"{regime}: test {name} | validation | seeds" for regime in ("all texts", f"{small:,} texts")]
    return [f"| model | {regimes[0]} | time | size | {regimes[1]} |", "|---" * 9 + "|"]


def about(dataset: str, rows: dict[str, dict[int, dict[str, Any]]]) -> str:
    """What the results of a data set were measured with."""
    results = [result for row, by_seed in rows.items() if row.startswith(f"{dataset}/") for result in by_seed.values()]
    covered = {
        f"{result['vectors']} ({result['coverage']:.1%} of the test split's tokens have a vector)"
        for result in results
        if result["vectors"] and result["row"] in (f"{dataset}/mean", f"{dataset}/frozen")
    }
    commits = sorted({result["commit"][:7] + result["commit"][40:] for result in results})
    threads = sorted({str(result["threads"]) for result in results})
    vectors = f"Vectors: {', '.join(sorted(covered))}. " if covered else ""
    return f"{vectors}Measured at {', '.join(commits)}; threads: {', '.join(threads)}."


def scores(results: list[dict[str, Any]], metric: str, expected: int) -> list[str]:
    """Three cells: test, validation, how many seeds."""
    if not results:
        return ["", "", ""]
    number = str(len(results)) if len(results) >= expected else f"{len(results)} of {expected}"
    test = spread([result["test"][metric] for result in results])
    if metric == "f1":
        test += ", " + spread([result["test"]["micro_f1"] for result in results])
    return [test, spread([result["validation"][metric] for result in results]), number]


def costs(results: list[dict[str, Any]]) -> list[str]:
    """Two cells: the shortest time of training, and the mean size."""
    if not results:
        return ["", ""]
    seconds = min(result["seconds"] for result in results)  # the others were held up
    megabytes = statistics.mean(result["megabytes"] for result in results)
    return [f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min", f"{megabytes:.1f} MB"]


def spread(values: list[float]) -> str:
    """Mean ± standard deviation of a sample, in per cent; of one value, that."""
    mean = f"{100 * statistics.mean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ± {100 * statistics.stdev(values):.1f}"
