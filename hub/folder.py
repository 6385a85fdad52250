"""The folder of a trained model."""

import os
import shutil
import tempfile
from pathlib import Path

from glove_bilstm.hub.card import draw_pictures, make_card
from glove_bilstm.hub.files import CARD, CONFIG, COVERAGE, DRIFT, HANDLER, MARK, PICTURES, RESULTS, WEIGHTS, write_json
from glove_bilstm.hub.hashes import hash_of
from glove_bilstm.hub.metadata import CardArguments
from glove_bilstm.training.run import TrainingResult

PREFIX = ".incomplete-"
"""Of the folder in which a model is written, beside where it goes."""
OPTIONAL = (DRIFT, *PICTURES)
"""The files that not every model has."""


def write_model_folder(
    result: TrainingResult, output_dir: Path, about: CardArguments | None = None, repo_id: str | None = None
) -> None:
    """Write all that a model folder holds: weights, configuration, code, tokenizer, card, coverage, drift, results.

    And the handler that Hugging Face Inference Endpoints run.

    The files are written beside and then moved in. Without `config.json` a folder is no model, so it is the first file
    of an older model to go and the last of the new one to come; interrupted in between, the older one is put back.

    Args:
        result: The run.
        output_dir: The folder. A model that is there already is replaced; checkpoints stay.
        about: What the card says that the run can't know.
        repo_id: The repository on the Hub that the card names. None: it names the folder.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    for left in output_dir.glob(f"{PREFIX}*"):  # by a process that was killed
        for file in (left / "old").glob("*"):
            os.replace(file, output_dir / file.name)
        shutil.rmtree(left)
    workspace = Path(tempfile.mkdtemp(prefix=PREFIX, dir=output_dir))
    staging, replaced = workspace / "new", workspace / "old"
    staging.mkdir()
    replaced.mkdir()
    try:
        result.model.save_pretrained(staging)
        result.tokenizer.save_pretrained(staging)
        # The library makes a file for the owner alone; a server may run as another user.
        (staging / WEIGHTS).chmod((staging / CONFIG).stat().st_mode)
        shutil.copy(Path(__file__).with_name(HANDLER), staging / HANDLER)
        pictures = draw_pictures(result, staging)
        card = make_card(result, repo_id or output_dir.resolve().name, about or CardArguments(), pictures)
        card.save(staging / CARD)
        with (staging / CARD).open("a", encoding="utf-8") as opened:
            opened.write(f"\n{MARK.format(hash_of(staging / WEIGHTS))}\n")
        write_json(staging / COVERAGE, {name: split.to_dict() for name, split in result.coverage.items()})
        if result.drift is not None:
            write_json(staging / DRIFT, result.drift.to_dict())
        write_json(staging / RESULTS, result.metrics)
        configuration_last = sorted(staging.iterdir(), key=lambda file: file.name == CONFIG)
        try:
            for name in dict.fromkeys([*(file.name for file in reversed(configuration_last)), *OPTIONAL]):
                if (output_dir / name).exists():
                    os.replace(output_dir / name, replaced / name)
            for file in configuration_last:
                os.replace(file, output_dir / file.name)
        except BaseException:  # Ctrl-C too
            for file in configuration_last:
                if file.name in OPTIONAL and not file.exists():  # it came, and may replace none
                    (output_dir / file.name).unlink()
            for file in replaced.iterdir():
                os.replace(file, output_dir / file.name)
            raise
    finally:
        shutil.rmtree(workspace)
