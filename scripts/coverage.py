"""`glove-bilstm coverage`: how much of a data set the word vectors cover, by split, and what is missing."""

import argparse
import sys

from glove_bilstm.scripts.shared import command, make_parser, output_file, whole_number


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of this verb."""
    parser = make_parser("coverage", "Show how much of a data set's text the word vectors cover, and what is missing.")
    parser.add_argument(
        "--dataset", required=True, help="Hub id, folder or file (csv, tsv, json, jsonl, parquet), or demo"
    )
    parser.add_argument("--vectors", required=True, help="name of a published set (glove.6B.100d, …), a file, or demo")
    parser.add_argument("--text_column", default="text", help="column of texts; default: text")
    parser.add_argument("--text_pair_column", default=None, help="column of second texts, where rows have pairs")
    parser.add_argument(
        "--profile", default="auto", help="how text is split into words; default: auto, as the vectors' words were"
    )
    parser.add_argument(
        "--missing", type=whole_number, default=20, help="how many missing words to show, 100 at most; default: 20"
    )
    parser.add_argument("--output", type=output_file, default=None, help="write the figures to this file, as JSON")
    parser.add_argument(
        "--no_cache", action="store_true", default=False, help="don't keep what was read from the vectors, nor use it"
    )
    return parser.parse_args(argv)


def run(argv: list[str]) -> None:
    """Count, look up, print."""
    options = parse(argv)

    from glove_bilstm.hub.files import write_json
    from glove_bilstm.scripts.tables import coverage_table, missing_table
    from glove_bilstm.tokenization.choice import AUTO, choose_profile, warn_of_low_coverage
    from glove_bilstm.tokenization.vocabulary import count_words
    from glove_bilstm.training.coverage import load_and_measure
    from glove_bilstm.training.splits import load_raw_splits

    columns = [options.text_column, *([options.text_pair_column] if options.text_pair_column else [])]
    texts = {
        name: [text for column in columns for text in split.texts(column, empty_allowed=True).to_pylist()]
        for name, split in load_raw_splits(options.dataset).items()
    }
    first = next(iter(texts))
    use_cache = not options.no_cache
    profile, reason = options.profile, "as told"
    if profile == AUTO:
        profile, reason = choose_profile(texts[first], options.vectors, use_cache)
    counts = {name: count_words(split, profile) for name, split in texts.items()}
    vectors, coverage = load_and_measure(counts, options.vectors, profile, use_cache)
    print(f"{vectors.report}\nText is split by the profile {profile}: {reason}.\n")
    print(coverage_table(coverage))
    for name, measured in coverage.items():
        if measured.missing and options.missing:
            print(f"\nMissing most often in {name}:\n\n{missing_table(measured, options.missing)}")
    lowest = min(coverage, key=lambda name: coverage[name].token_share)
    warning = warn_of_low_coverage(texts[lowest], options.vectors, profile, coverage[lowest], use_cache)
    if warning is not None:
        print(f"\nIn {lowest}: {warning}")
    if options.output is not None:
        write_json(options.output, {name: measured.to_dict() for name, measured in coverage.items()})


main = command(run)

if __name__ == "__main__":
    sys.exit(main())
