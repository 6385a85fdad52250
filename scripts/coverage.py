"""`glove-bilstm coverage`: how much of a data set the word vectors cover."""

import argparse
import sys

from glove_bilstm.scripts.shared import command, make_parser, output_file


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of this verb."""
    parser = make_parser("coverage", "Show how much of a data set's text the word vectors cover, and what is missing.")
    parser.add_argument(
        "--dataset", required=True, help="Hub id, folder or file (csv, tsv, json, jsonl, parquet), or demo"
    )
    parser.add_argument("--vectors", required=True, help="GloVe text file, plain or gzipped, or demo")
    parser.add_argument("--text_column", default="text", help="default: text")
    parser.add_argument("--profile", default="glove", help="how text is split into words; default: glove")
    parser.add_argument("--missing", type=int, default=20, help="how many missing words to show; default: 20")
    parser.add_argument("--output", type=output_file, default=None, help="write the figures to this file, as JSON")
    return parser.parse_args(argv)


def run(argv: list[str]) -> None:
    """Count, look up, print."""
    options = parse(argv)

    from glove_bilstm.hub.folder import write_json
    from glove_bilstm.scripts.tables import text_table
    from glove_bilstm.tokenization.vocabulary import count_words
    from glove_bilstm.training.datasets import load_raw_splits
    from glove_bilstm.vectors.alignment import measure_coverage
    from glove_bilstm.vectors.word_vectors import load_vectors

    counts = {
        name: count_words(split.texts(options.text_column, empty_allowed=True), options.profile)
        for name, split in load_raw_splits(options.dataset).items()
    }
    vectors = load_vectors(options.vectors, words=set().union(*counts.values()))
    coverage = {name: measure_coverage(words, vectors, words) for name, words in counts.items()}
    rows = [
        [
            name,
            f"{split.types_found:,} of {split.types_total:,}",
            f"{split.type_share:.1%}",
            f"{split.token_share:.1%}",
            *(f"{split.found_as[form]:,}" for form in split.found_as),
        ]
        for name, split in coverage.items()
    ]
    forms = next(iter(coverage.values())).found_as
    print(text_table(["split", "types found", "types", "tokens", *forms], rows))
    for name, split in coverage.items():
        if split.missing and options.missing:
            words = ", ".join(f"{word} ({count:,})" for word, count in split.missing[: options.missing])
            print(f"\nMissing most often in {name}: {words}")
    if options.output is not None:
        write_json(options.output, {name: split.to_dict() for name, split in coverage.items()})


main = command(run)

if __name__ == "__main__":
    sys.exit(main())
