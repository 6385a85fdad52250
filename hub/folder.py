"""The folder of a trained model."""

import json
import os
import shutil
import tempfile
from pathlib import Path

from glove_bilstm.hub.card import make_card
from glove_bilstm.training.run import TrainingResult


def write_model_folder(result: TrainingResult, output_dir: Path) -> None:
    """Write everything that a model folder holds: weights, configuration, code, tokenizer, card, coverage, results.

    The files are written beside and then moved in, `config.json` last, so that a folder with a configuration is whole.

    Args:
        result: The run.
        output_dir: The folder. A model that is there already is replaced; checkpoints stay.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".incomplete-", dir=output_dir))
    try:
        result.model.save_pretrained(staging)
        result.tokenizer.save_pretrained(staging)
        make_card(result, output_dir.resolve().name).save(staging / "README.md")
        write_json(staging / "coverage.json", {name: split.to_dict() for name, split in result.coverage.items()})
        write_json(staging / "all_results.json", result.metrics)
        for file in sorted(staging.iterdir(), key=lambda file: file.name == "config.json"):
            os.replace(file, output_dir / file.name)
    finally:
        shutil.rmtree(staging)


def write_json(file: Path, content: object) -> None:
    """Write JSON that a person can read, beside and then moved in."""
    beside = file.with_name(f".{file.name}.incomplete")
    beside.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(beside, file)
