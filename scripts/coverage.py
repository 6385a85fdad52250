"""`glove-bilstm coverage`: how much of a data set the word vectors cover, by split, and what is missing."""

import argparse
import sys

from glove_bilstm.scripts.shared import command, make_parser, output_file


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of this verb."""
    parser = make_parser("coverage", "Show how much of a data set's text the word vectors cover, and what is missing.")
    parser.add_argument(
        "--dataset", required=True, help="Hub id, folder or file (csv, tsv, json, jsonl, parquet), or demo"
    )
    parser.add_argument("--vectors", required=True, help="name of a published set (glove.6B.100d, …), a file, or demo")
    parser.add_argument("--text_column", default="text", help="default: text")
    parser.add_argument(
        "--profile", default="auto", help="how text is split into words; default: auto, as the vectors' words were"
    )
    parser.add_argument("--missing", type=int, default=20, help="how many missing words to show; default: 20")
    parser.add_argument("--output", type=output_file, default=None, help="write the figures to this file, as JSON")
    parser.add_argument(
        "--no_cache", action="store_true", default=False, help="don't keep what was read from the vectors, nor use it"
    )
    return parser.parse_args(argv)


def run(argv: list[str]) -> None:
    """Count, look up, print."""
    options = parse(argv)

    from glove_bilstm.hub.folder import write_json
    from glove_bilstm.scripts.tables import coverage_table, missing_table
    from glove_bilstm.tokenization.choice import AUTO, choose_profile, likely_cause
    from glove_bilstm.tokenization.vocabulary import count_words
    from glove_bilstm.training.datasets import load_raw_splits
    from glove_bilstm.training.run import LOW_COVERAGE
    from glove_bilstm.vectors.alignment import measure_coverage
    from glove_bilstm.vectors.word_vectors import load_vectors

    texts = {
        name: split.texts(options.text_column, empty_allowed=True)
        for name, split in load_raw_splits(options.dataset).items()
    }
    first = next(iter(texts))
    use_cache = not options.no_cache
    profile, reason = options.profile, "as told"
    if profile == AUTO:
        profile, reason = choose_profile(texts[first], options.vectors, use_cache)
    counts = {name: count_words(split, profile) for name, split in texts.items()}
    vectors = load_vectors(options.vectors, set().union(*counts.values()), profile=profile, use_cache=use_cache)
    print(f"{vectors.report}\nText is split by the profile {profile}: {reason}.\n")
    # What is missing may be near to a word that isn't in these texts.
    head = load_vectors(options.vectors, limit=50_000, use_cache=use_cache)
    known = list(dict.fromkeys([*head.words, *vectors.words]))
    coverage = {
        name: measure_coverage(words, vectors, words).with_nearest(known, max(options.missing, 100))
        for name, words in counts.items()
    }
    print(coverage_table(coverage))
    for name, measured in coverage.items():
        if measured.missing and options.missing:
            print(f"\nMissing most often in {name}:\n\n{missing_table(measured, options.missing)}")
    lowest = min(coverage, key=lambda name: coverage[name].token_share)
    if coverage[lowest].token_share < LOW_COVERAGE:
        cause = likely_cause(texts[lowest], options.vectors, profile, coverage[lowest], use_cache)
        print(f"\nOnly {coverage[lowest].token_share:.1%} of the tokens of {lowest} have a vector. {cause}")
    if options.output is not None:
        write_json(options.output, {name: measured.to_dict() for name, measured in coverage.items()})


main = command(run)

if __name__ == "__main__":
    sys.exit(main())
