"""`glove-bilstm predict`: label texts."""

import argparse
import sys

from glove_bilstm.scripts.shared import add_dtype, command, make_parser, positive, user_path


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of this verb."""
    parser = make_parser(
        "predict",
        "Label texts, given as arguments or as a file.\n"
        "Files: .txt (one text a line), .csv, .jsonl or .parquet. The output has the input's columns and two more, "
        "prediction\nand score (a .txt output has the predictions alone). Of a multi-label model they are the list of "
        "labels that apply\nand the list of their probabilities (in .csv and .txt: JSON arrays). Of a regression "
        "model there is prediction alone,\nthe number.",
    )
    parser.add_argument("texts", nargs="*", default=[], help="texts to label")
    parser.add_argument("--model", required=True, help="folder or Hub id of the model")
    parser.add_argument("--input", type=user_path, default=None, help="file of texts")
    parser.add_argument("--output", type=user_path, default=None, help="file to write")
    parser.add_argument("--text_column", default="text", help="default: text")
    parser.add_argument("--text_pair_column", default=None, help="column of second texts, for a model of pairs")
    add_dtype(parser)
    parser.add_argument("--batch_size", type=positive, default=64, help="texts in one forward pass; default: 64")
    options = parser.parse_args(argv)
    if bool(options.texts) == bool(options.input):
        parser.error("give either texts or --input")
    if bool(options.input) != bool(options.output):
        parser.error("--input and --output belong together")
    if options.text_pair_column and not options.input:
        parser.error("--text_pair_column names a column of --input")
    return options


def run(argv: list[str]) -> None:
    """Predict, and print or write."""
    options = parse(argv)

    from itertools import tee

    from tqdm.auto import tqdm
    from transformers.utils.logging import disable_progress_bar

    from glove_bilstm.inference.bulk import classify_texts
    from glove_bilstm.inference.files import as_columns, predicted_columns, read_rows, row_writer
    from glove_bilstm.inference.loading import check_pairs, load_classifier
    from glove_bilstm.scripts.tables import answers_table

    disable_progress_bar()
    if options.texts:
        model, tokenizer = load_classifier(options.model, options.dtype)
        check_pairs(tokenizer, pairs=False)
        answers = list(classify_texts(model, tokenizer, options.texts, options.batch_size))
        print(answers_table(options.texts, answers))
        return

    with row_writer(options.output, like=options.input) as write:
        model, tokenizer = load_classifier(options.model, options.dtype)
        columns = [options.text_column, *([options.text_pair_column] if options.text_pair_column else [])]
        check_pairs(tokenizer, pairs=len(columns) == 2)
        added = predicted_columns(model.config)
        # Two readings of one stream: the rows, and their texts for the model, which runs a few batches ahead.
        rows_in, for_texts = tee(tqdm(read_rows(options.input, columns, added), unit="text", disable=None))
        texts = (row[columns[0]] if len(columns) == 1 else (row[columns[0]], row[columns[1]]) for row in for_texts)
        answers_out = classify_texts(model, tokenizer, texts, options.batch_size)
        write(
            ({**row, **as_columns(answer, model.config)} for row, answer in zip(rows_in, answers_out, strict=True)),
            added,
        )


main = command(run)

if __name__ == "__main__":
    sys.exit(main())
