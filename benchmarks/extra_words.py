"""What words from the head of a vectors file are worth: unknown words and accuracy on unseen texts, against size.

    python benchmarks/extra_words.py --vectors VECTORS --datasets demo DIR … --output benchmarks/extra_words.md

With a frozen embedding the extra words hardly touch training (only the rows of words without a vector are drawn after
the mean and spread of all rows); what they change is what the model can read later. So a model is trained once with
all words of the file, and then measured with the vocabulary cut down, every word beyond the cut read as the unknown
word: the same weights, and no noise between trainings.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

NUMBERS = (0, 2_000, 5_000, 10_000, 20_000, 40_000, 80_000)


def measure(dataset: str, vectors: str, seed: int, max_texts: int) -> list[dict[str, float]]:
    """For each number of extra words: the vocabulary, megabytes, unknown tokens and accuracy on unseen texts."""
    from datasets import load_dataset

    from glove_bilstm import build_tokenizer
    from glove_bilstm.inference.bulk import evaluate_texts
    from glove_bilstm.tokenization.vocabulary import count_words
    from glove_bilstm.training.arguments import DataArguments, ModelArguments
    from glove_bilstm.training.run import train_classifier
    from glove_bilstm.training.training_arguments import GloveBiLSTMTrainingArguments
    from glove_bilstm.vectors.special_tokens import SPECIAL_TOKENS, in_id_order

    with tempfile.TemporaryDirectory() as folder:
        if dataset != "demo":
            splits = load_dataset(dataset)
            for name, split in splits.items():
                chosen = split.shuffle(seed=seed).select(range(min(len(split), max_texts)))
                chosen.to_json(Path(folder) / "data" / f"{name}.jsonl")
        result = train_classifier(
            DataArguments("demo" if dataset == "demo" else Path(folder) / "data", max_length=200),
            ModelArguments(vectors, extra_words=NUMBERS[-1], embedding_dropout=0.2),
            GloveBiLSTMTrainingArguments(Path(folder) / "out", seed=seed, disable_tqdm=True, use_cpu=True),
        )
    words = in_id_order(result.tokenizer.get_vocab())[len(SPECIAL_TOKENS) :]
    profile = result.model.config.word_vectors["profile"]
    head = {word: position for position, word in enumerate(head_words(vectors))}
    own = count_words(result.data.splits["train"]["text"], profile)
    rows = []
    for number in NUMBERS:
        vocabulary = [word for word in words if word in own or head.get(word, number) < number]
        # The words of the training texts come first, then those of the file in its order: ids stay what they were.
        assert vocabulary == words[: len(vocabulary)]
        tokenizer = build_tokenizer(vocabulary, profile)
        known = set(vocabulary)
        row = {
            "extra": number,
            "vocabulary": len(vocabulary),
            "megabytes": len(vocabulary) * result.model.config.embedding_dim * 4 / 1e6,
        }
        for name in ("validation", "test"):
            split = result.data.splits[name]
            labels = [result.data.labels[label] for label in split["label"]]
            tokens = count_words(split["text"], profile)
            row[f"{name} unknown"] = sum(count for word, count in tokens.items() if word not in known) / tokens.total()
            row[f"{name} accuracy"] = evaluate_texts(result.model, tokenizer, split["text"], labels)["accuracy"]
        rows.append(row)
    return rows


def head_words(vectors: str) -> list[str]:
    """The words of the vectors, in the file's order."""
    from glove_bilstm import load_vectors

    return load_vectors(vectors, limit=NUMBERS[-1]).words


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--vectors", required=True)
    parser.add_argument("--datasets", nargs="+", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--max_texts", type=int, default=5_000, help="of each split; default: 5000")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    lines = [
        "| data | extra words | vocabulary | embedding | unknown: validation, test | accuracy: validation, test |",
        "|---|---|---|---|---|---|",
    ]
    for dataset in options.datasets:
        runs = [measure(dataset, options.vectors, seed, options.max_texts) for seed in range(options.seeds)]
        for rows in zip(*runs, strict=True):
            mean = {key: statistics.mean(row[key] for row in rows) for key in rows[0]}
            lines.append(
                f"| {Path(dataset).name} | {mean['extra']:,.0f} | "
                f"{mean['vocabulary']:,.0f} | {mean['megabytes']:.1f} MB | "
                f"{mean['validation unknown']:.2%}, {mean['test unknown']:.2%} | "
                f"{mean['validation accuracy']:.4f}, {mean['test accuracy']:.4f} |"
            )
            print(lines[-1], file=sys.stderr)
    print("\n".join(lines))
    if options.output:
        options.output.write_text(
            "# Words from the head of a vectors file\n\n"
            f"`python benchmarks/extra_words.py {' '.join(sys.argv[1:])}`: means of {options.seeds} seeds; everything "
            "but the embedding dropout (0.2) and --max_length 200 at its default; at most "
            f"{options.max_texts:,} texts of each split.\n\n" + "\n".join(lines) + "\n",
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
