"""What of a model folder is pushed, and as what."""

import hashlib
import json
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glove_bilstm.hub.files import (
    CARD,
    CONFIG,
    COVERAGE,
    DRIFT,
    HANDLER,
    MEASURED_ON,
    PICTURES,
    RESULTS,
    TOKENIZER,
    TOKENIZER_CONFIG,
    WEIGHTS,
    read_json,
)
from glove_bilstm.hub.hashes import hash_of, is_export_of
from glove_bilstm.hub.scan import scan_file
from glove_bilstm.modeling.configuration_glove_bilstm import GloveBiLSTMConfig
from glove_bilstm.vectors.errors import InputError

logger = logging.getLogger(__name__)

AUTO_CLASSES = ("AutoConfig", "AutoModel", "AutoModelForSequenceClassification")
ONNX = "onnx"
"""The folder in a model's own that `glove-bilstm export` may write."""
MEASURED = (RESULTS, DRIFT, *PICTURES)
"""What was measured on the weights, and tells of no others."""
OTHERS = (
    *(TOKENIZER, TOKENIZER_CONFIG, CARD, COVERAGE, HANDLER),
    *MEASURED,
    *(
        f"{ONNX}/{name}"
        for name in ("export.json", "model.onnx", "config.json", "tokenizer.json", "onnx_classifier.py")
    ),
)
"""What else is pushed, besides the code that the configuration names."""
EXAMPLE_LINE = re.compile(r'^(classify = pipeline\("text-classification", model=")([^"\n]+)', re.MULTILINE)
"""The line of the card's example that names the model."""


@dataclass(frozen=True)
class Plan:
    """What a push sends.

    Attributes:
        files: Name in the repository → file.
        left_out: What else lies in the folder, such as checkpoints.
    """

    files: dict[str, Path]
    left_out: list[str]


def plan_push(folder: Path) -> Plan:
    """Choose the files of a model folder, and make sure that nothing else is pushed with them.

    Raises:
        InputError: The folder holds no whole model of this package, or a file has a secret or a path of this machine
            in it, or isn't what its name says.
    """
    missing = [name for name in (CONFIG, WEIGHTS, TOKENIZER, TOKENIZER_CONFIG) if not (folder / name).is_file()]
    if missing:
        raise InputError(f"{folder} is no model folder: it has no {' and no '.join(missing)}.")
    config = _read_config(folder / CONFIG)
    if config.get("model_type") != GloveBiLSTMConfig.model_type:
        raise InputError(f"{folder / CONFIG} is a model of the type {config.get('model_type')!r}, not this package's.")
    auto_map = config.get("auto_map") or {}
    lacking = [name for name in AUTO_CLASSES if name not in auto_map]
    if lacking:
        raise InputError(
            f"{folder / CONFIG} names no code for {', '.join(lacking)}. Load the model and save it again: "
            "model.save_pretrained writes that."
        )
    code = sorted({f"{auto_map[name].partition('.')[0]}.py" for name in AUTO_CLASSES})
    if absent := [name for name in code if not (folder / name).is_file()]:
        raise InputError(f"{folder} lacks {', '.join(absent)}, which {CONFIG} names. Save the model again.")
    names = [CONFIG, WEIGHTS, *code, *(name for name in OTHERS if (folder / name).is_file())]
    files = {name: folder / name for name in sorted(names)}
    for file in files.values():
        scan_file(file, folder)
    if CARD not in files or not _vouches(files[CARD], folder / WEIGHTS):
        files = {name: file for name, file in files.items() if name not in MEASURED}
    report = files.get(f"{ONNX}/export.json")
    if report is not None and not is_export_of(report, folder / WEIGHTS):
        raise InputError(
            f"{report.parent} was exported from another model than {folder / WEIGHTS}. Export it again, or remove the "
            "folder."
        )
    sent = {name.partition("/")[0] for name in files}
    left_out = sorted(entry.name + "/" * entry.is_dir() for entry in folder.iterdir() if entry.name not in sent)
    return Plan(files, left_out)


def warn_of(plan: Plan, folder: Path) -> None:
    """Tell what a push of a folder lacks, or leaves out as uncertain."""
    if CARD not in plan.files:
        logger.warning("%s has no card (%s), so its page will say nothing of it.", folder, CARD)
    if unsure := [name for name in MEASURED if name in plan.left_out]:
        logger.warning(
            "No card in %s tells which weights its figures are of, so %s aren't pushed: they may be of others.",
            folder,
            ", ".join(unsure),
        )


def _vouches(card: Path, weights: Path) -> bool:
    """Whether a card tells that what was measured was measured on the weights beside it.

    Raises:
        InputError: It was measured on others.
    """
    measured = MEASURED_ON.search(card.read_text(encoding="utf-8"))
    if measured is not None and measured[1] != hash_of(weights):
        raise InputError(
            f"The figures in {card} are of other weights than {weights} holds. Evaluate these and write what is true "
            f"of them, without the line that begins with {measured[0].partition(':')[0]!r}; or remove the card. "
            f"Without that line {', '.join(MEASURED)} aren't pushed."
        )
    return measured is not None


def content_of(file: Path, repo_id: str) -> Path | bytes:
    """What is pushed of a file: itself, but for the card, which names the repository, and the tokenizer's class."""
    if file.name == CARD:
        return name_after_repository(file.read_text(encoding="utf-8"), repo_id).encode()
    if file.name == TOKENIZER_CONFIG:
        config = _read_config(file)
        # What `AutoTokenizer` saves, in transformers 5; transformers 4 and other tools don't know it.
        if config.get("tokenizer_class") == "TokenizersBackend":
            config["tokenizer_class"] = "PreTrainedTokenizerFast"
            kept = {name: value for name, value in config.items() if name not in ("is_local", "local_files_only")}
            return (json.dumps(kept, indent=2, ensure_ascii=False) + "\n").encode()
    return file


def digest_of(plan: Plan) -> str:
    """One hash of all files, names included."""
    whole = hashlib.sha256()
    for name, file in plan.files.items():
        whole.update(f"{name} {hash_of(file)}\n".encode())
    return whole.hexdigest()


def name_after_repository(card: str, repo_id: str) -> str:
    """A card whose title and example name the repository rather than the folder that the model was trained in."""
    example = EXAMPLE_LINE.search(card)
    if example is None:
        return card
    old, new = Path(example[2]).name, Path(repo_id).name
    title = re.compile(rf"^# {re.escape(old)}$", re.MULTILINE)
    # As YAML writes a string, which a name such as 2026-11-30 or null is only in quotes.
    spellings = (old, json.dumps(old, ensure_ascii=False), "'" + old.replace("'", "''") + "'")
    name = re.compile(rf"^(model-index:\n *- name: )(?:{'|'.join(map(re.escape, spellings))})$", re.MULTILINE)
    if new != old:
        card = name.sub(lambda found: found[1] + json.dumps(new), card, count=1)
    renamed = EXAMPLE_LINE.sub(lambda found: found[1] + repo_id, card, count=1)
    return title.sub(lambda _: f"# {new}", renamed, count=1)


def _read_config(file: Path) -> dict[str, Any]:
    config = read_json(file)
    return config if isinstance(config, dict) else {}
