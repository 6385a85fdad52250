"""`glove-bilstm evaluate`: measure a trained model on a labelled data set."""

import argparse
import sys
from pathlib import Path

from glove_bilstm.scripts.shared import add_computing, command, make_parser, output_file, positive


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of this verb."""
    parser = make_parser("evaluate", "Measure a trained model on a labelled data set.")
    parser.add_argument("--model", required=True, help="folder or Hub id of the model")
    parser.add_argument(
        "--dataset", required=True, help="Hub id, folder or file (csv, tsv, json, jsonl, parquet), or demo"
    )
    parser.add_argument(
        "--split",
        default=None,
        help="which one to measure on; default: test, or the only one there is (a file alone is one)",
    )
    parser.add_argument("--text_column", default="text", help="column of texts; default: text")
    parser.add_argument("--text_pair_column", default=None, help="column of second texts, for a model of pairs")
    parser.add_argument("--label_column", default="label", help="column of labels; default: label")
    add_computing(parser)
    parser.add_argument(
        "--batch_size", type=positive, default=128, help="texts in one forward pass, at most; default: 128"
    )
    parser.add_argument("--output", type=output_file, default=None, help="write the figures to this file, as JSON")
    return parser.parse_args(argv)


def run(argv: list[str]) -> None:
    """Predict the split's texts, compare with its labels, print the figures."""
    options = parse(argv)

    from tqdm.auto import tqdm
    from transformers.utils.logging import disable_progress_bar

    from glove_bilstm.hub.files import write_json
    from glove_bilstm.inference.bulk import evaluate_texts
    from glove_bilstm.inference.loading import load_classifier
    from glove_bilstm.inference.pairs import check_pairs
    from glove_bilstm.scripts.tables import metrics_table
    from glove_bilstm.training.labels import read_known_labels
    from glove_bilstm.training.metrics import label_names
    from glove_bilstm.training.splits import find_split, is_file_alone

    disable_progress_bar()
    split = find_split(options.dataset, options.split, "test")
    texts = split.inputs(options.text_column, options.text_pair_column)
    model, tokenizer = load_classifier(options.model, options.dtype, options.device)
    check_pairs(tokenizer.sep_token, pairs=options.text_pair_column is not None)
    known = label_names(model.config)
    labels = read_known_labels(split, options.label_column, known, model.config.problem_type)

    figures = evaluate_texts(model, tokenizer, tqdm(texts, unit="text", disable=None), labels, options.batch_size)
    alone = is_file_alone(options.dataset)
    told, name = (Path(options.dataset).name, "test") if alone else (f"split {split.name!r}", split.name)
    print(f"{len(texts):,} texts of {told}\n\n{metrics_table({name: figures}, known)}")
    if options.output is not None:
        write_json(options.output, {f"{name}_{metric}": value for metric, value in figures.items()})


main = command(run)

if __name__ == "__main__":
    sys.exit(main())
