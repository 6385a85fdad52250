"""Loading a trained classifier from a folder or the Hub."""

import os
import re
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME
from transformers.utils.hub import cached_file

import glove_bilstm  # noqa: F401 - registers the model with the Auto classes
from glove_bilstm.inference.onnx_classifier import verify_download
from glove_bilstm.vectors.errors import InputError


def find_device(name: str) -> torch.device:
    """The device of a name, "auto" for a GPU that has CUDA, or else the CPU; of several, the process's own.

    Other accelerators are to be named: nobody has tried the model on them.

    Raises:
        InputError: There is no such device.
    """
    there = torch.accelerator.current_accelerator(check_available=True)
    if name == "auto":
        name = "cuda" if there and there.type == "cuda" else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"{name} is the name of no device; cpu is one, and cuda.") from error
    number = torch.accelerator.device_count() if there and there.type == device.type else 0
    if device.type != "cpu" and (device.index or 0) >= number:
        raise InputError(f"torch finds no device {name} here. Leave --device out: it takes what there is.")
    if number > 1 and device.index is None:  # torchrun numbers its processes
        return torch.device(device.type, int(os.environ.get("LOCAL_RANK", "0")) % number)
    return device


def load_classifier(
    model: str, dtype: str = "auto", device: str = "cpu"
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a model and its tokenizer.

    Args:
        model: A folder, or a Hub id.
        dtype: Of the weights in memory, "float32" or "bfloat16"; "auto": that of the file. Processors that multiply
            bfloat16 natively (AVX512-BF16, AMX) are about twice as fast with it; others are slower.
        device: Where it computes; see `find_device`.

    Raises:
        InputError: There is no such model, the folder holds none in safetensors, or the weights that the Hub sent are
            damaged; or there is no such device.
    """
    place = find_device(device)
    if Path(model).is_dir() and not (Path(model) / "config.json").is_file():
        raise InputError(f"{model} holds no model: it has no config.json. Name a folder that training wrote.")
    if not Path(model).exists() and not re.fullmatch(r"\w[\w.-]*(/[\w.-]+)?", model):
        raise InputError(f"There is no folder {model}, and no repository on the Hub has such a name.")
    names = (SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME)
    if Path(model).is_dir() and not any((Path(model) / name).is_file() for name in names):
        if (Path(model) / "model.onnx").is_file():
            raise InputError(
                f"{model} is an exported model, which only `glove-bilstm predict` and OnnxClassifier read. Name the "
                "folder that it was exported from."
            )
        raise InputError(
            f"{model} holds no weights in safetensors, the one format that is read: it has no {SAFE_WEIGHTS_NAME}. "
            "Name a folder that training wrote."
        )
    try:
        # Our own classes need no trust; another model's code isn't run, nor is the user asked in the middle of a job.
        # Nothing is unpickled: weights are safetensors.
        tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False)
        if not Path(model).is_dir():
            verify_download(model_folder(model) / SAFE_WEIGHTS_NAME, f"{model}'s {SAFE_WEIGHTS_NAME}")
        options = {"dtype": dtype, "trust_remote_code": False, "use_safetensors": True}
        return AutoModelForSequenceClassification.from_pretrained(model, **options).to(place), tokenizer
    except Exception as error:  # each part of a broken folder raises its own
        raise InputError(
            f"There is no model to load at {model}: {(str(error) or repr(error)).splitlines()[0]}"
        ) from error


def model_folder(model: str) -> Path:
    """The folder that holds a model's weights; of one on the Hub, that of its commit in the cache."""
    return Path(model) if Path(model).is_dir() else Path(str(cached_file(model, SAFE_WEIGHTS_NAME))).parent
