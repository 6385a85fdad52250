"""Exporting a classifier to ONNX, smaller if wanted, and measuring what that costs."""

import copy
import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from tokenizers import Tokenizer
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from glove_bilstm.hub.files import write_json
from glove_bilstm.inference import onnx_classifier
from glove_bilstm.inference.bulk import predict_logits
from glove_bilstm.inference.export_folder import REPORT, RUNTIME, new_folder
from glove_bilstm.inference.onnx_classifier import CONFIG, MODEL, TOKENIZER, OnnxClassifier, Text
from glove_bilstm.inference.onnx_graph import EmbeddingDtype, build_graph
from glove_bilstm.modeling.modeling_glove_bilstm import GloveBiLSTMForSequenceClassification
from glove_bilstm.training.metrics import applying, measure
from glove_bilstm.training.tasks import BEST_METRIC, MULTI_LABEL, REGRESSION, SINGLE_LABEL
from glove_bilstm.vectors.errors import InputError
from glove_bilstm.vectors.special_tokens import SPECIAL_TOKENS

logger = logging.getLogger(__name__)

LARGEST_DIFFERENCE = 1e-5
"""Between a logit of torch and the float32 graph's, next to the larger of 1 and the logit."""


Quantize = Literal["int8"]


@dataclass(frozen=True)
class Variant:
    """What of a model an export keeps.

    Attributes:
        vocabulary_size: Rows of the embedding, special tokens included: the most frequent words. None: all.
        embedding_dtype: Of the embedding's numbers in the file.
        quantize: "int8": the LSTM's weights, and its inputs while it reads. None: float32.
    """

    vocabulary_size: int | None = None
    embedding_dtype: EmbeddingDtype = "float32"
    quantize: Quantize | None = None

    def __str__(self) -> str:
        """What is in it, in words."""
        words = "all words" if self.vocabulary_size is None else f"{self.vocabulary_size:,} words"
        return f"{words}, embedding {self.embedding_dtype}, LSTM {self.quantize or 'float32'}"


@dataclass(frozen=True)
class Check:
    """Texts to measure an export on, and what torch says of them.

    Attributes:
        texts: The texts, or pairs.
        logits: Torch's, ``[N, C]``.
        references: What is right, as `measure` takes it. None: nobody knows, and torch's own answers stand for it.
        source: What the texts are, for the report.
    """

    texts: Sequence[Text]
    logits: np.ndarray
    references: np.ndarray | None
    source: str


def make_check(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[Text],
    references: np.ndarray | None,
    source: str,
) -> Check:
    """Let torch read the texts."""
    logits = np.stack([one.numpy() for one in predict_logits(model, tokenizer, texts)])  # [N, C]
    return Check(texts, logits, references, source)


@dataclass(frozen=True)
class Measured:
    """What an export costs, beside the model in torch on the same texts.

    Attributes:
        texts: How many, and `source`, which.
        labelled: Whether their labels were known. If not, the metric compares with torch's answers.
        largest_difference: Between a logit of one and the other, next to the larger of 1 and the logit.
        same_answer: Share of the texts with the same label, or the same labels. None: a regressor.
        metric: Accuracy, macro F1 or R², by the task.
        in_torch: The metric's value for the model in torch.
        exported: The export's.
    """

    texts: int
    source: str
    labelled: bool
    largest_difference: float
    same_answer: float | None
    metric: str
    in_torch: float
    exported: float

    @property
    def drop(self) -> float:
        """How much of the metric is lost."""
        return round(self.in_torch - self.exported, 12)  # 1 - 0.99 is a little more than 0.01


def export_model(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    variant: Variant,
    output: Path,
    check: Check,
    largest_drop: float,
    sha256: str | None,
) -> Measured:
    """Write a variant and measure it; what loses too much isn't kept.

    Args:
        model: In float32.
        tokenizer: Its tokenizer.
        variant: What to keep.
        output: The folder, new, or of an earlier export and nothing else, which is replaced.
        check: What to measure it on.
        largest_drop: How much of the metric may be lost.
        sha256: Of the model's weights, by which a push sees whether the export is still one of them.

    Raises:
        InputError: The folder is something else, the model or the variant can't be exported, or too much is lost.
    """
    with new_folder(output) as folder:
        write_variant(model, tokenizer, variant, folder)
        measured = measure_folder(folder, model.config, check)
        if variant == Variant() and not measured.largest_difference <= LARGEST_DIFFERENCE:
            _check_rounding(model, tokenizer, folder, check, measured.largest_difference)
        if measured.drop > largest_drop:
            raise InputError(
                f"With {variant}, {measured.metric} falls by {measured.drop:.4f}, from {measured.in_torch:.4f} to "
                f"{measured.exported:.4f}, and --max_accuracy_drop is {largest_drop:g}: nothing was written."
                + ("" if measured.labelled else " Labelled texts of the model's own task, --dataset, tell more.")
            )
        write_json(
            folder / REPORT,
            {"model_sha256": sha256, "variant": asdict(variant), **asdict(measured), "drop": measured.drop},
        )
    return measured


def _check_rounding(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path, check: Check, difference: float
) -> None:
    """See whether it is torch that rounds: the export has to be near what the model gives in float64.

    Raises:
        InputError: It isn't.
    """
    exact = make_check(copy.deepcopy(model).double(), tokenizer, check.texts, check.references, check.source)
    rest = measure_folder(folder, model.config, exact).largest_difference
    if not rest <= LARGEST_DIFFERENCE:
        raise InputError(
            f"The exported model's logits differ from torch's by up to {difference:.2g}, and by {rest:.2g} from those "
            f"in float64, more than by rounding ({LARGEST_DIFFERENCE:.0e}); nothing was written. Please report this."
        )
    logger.warning(
        "The export's logits differ from torch's in float32 by up to %.2g, and from those in float64 by %.2g, "
        "which is near enough.",
        difference,
        rest,
    )


def write_variant(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, variant: Variant, folder: Path) -> None:
    """Write all that `OnnxClassifier` needs into a folder, which is there, and the classifier's own file.

    Args:
        model: In float32.
        tokenizer: Its tokenizer.
        variant: What to keep.
        folder: Where to.

    Raises:
        InputError: It is another kind of model, or the tokenizer or the vocabulary size don't allow it.
    """
    graph = build_graph(exportable(model), variant.embedding_dtype, variant.vocabulary_size)
    (folder / TOKENIZER).write_text(tokenizer_json(tokenizer, variant.vocabulary_size), encoding="utf-8")
    if variant.quantize is None:
        onnx.save(graph, folder / MODEL)
    else:
        _quantize(graph, folder / MODEL)
    config = json.loads(model.config.to_json_string())
    for name in ("auto_map", "_name_or_path"):  # files that aren't here, and where the model was
        config.pop(name, None)
    config |= {
        "vocab_size": variant.vocabulary_size or model.config.vocab_size,
        "quantize": variant.quantize,
        # What else the runtime reads: transformers leaves out what it takes for a default, such as two labels' names.
        **{name: getattr(model.config, name) for name in ("problem_type", "pad_token_id", "id2label", "thresholds")},
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    shutil.copy(onnx_classifier.__file__, folder / RUNTIME)


def exportable(model: PreTrainedModel) -> GloveBiLSTMForSequenceClassification:
    """The model, which is one of ours.

    Raises:
        InputError: It isn't.
    """
    if not isinstance(model, GloveBiLSTMForSequenceClassification):
        raise InputError(f"This exports glove_bilstm models; this one is {model.config.model_type}.")
    return model


def tokenizer_json(tokenizer: PreTrainedTokenizerBase, vocabulary_size: int | None) -> str:
    """The tokenizer's own file, with the words whose ids are below a number; others are unknown to it.

    Raises:
        InputError: It isn't one of Rust; or isn't word-level, and its vocabulary can't be cut; or the number is below
            that of the special tokens or above that of the words.
    """
    backend: Tokenizer | None = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise InputError(f"{type(tokenizer).__name__} has no tokenizer.json, which an exported model needs.")
    if vocabulary_size is None:
        return backend.to_str()
    content: dict[str, Any] = json.loads(backend.to_str())
    if content["model"]["type"] != "WordLevel":
        raise InputError(f"Only a word-level vocabulary can be cut; this one is {content['model']['type']}.")
    if not len(SPECIAL_TOKENS) < vocabulary_size <= len(tokenizer):
        raise InputError(
            f"--vocabulary_size {vocabulary_size:,} is not between {len(SPECIAL_TOKENS) + 1} and the model's own "
            f"{len(tokenizer):,}."
        )
    words = content["model"]["vocab"]
    content["model"]["vocab"] = {word: number for word, number in words.items() if number < vocabulary_size}
    content["added_tokens"] = [token for token in content["added_tokens"] if token["id"] < vocabulary_size]
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def _quantize(graph: onnx.ModelProto, file: Path) -> None:
    """Write the graph with int8 weights in its LSTMs, whose inputs become int8 as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # Processors without VNNI add two products in 16 bits, which 8-bit weights overflow: an export that was measured on
    # one processor would answer otherwise on another. With 7 bits all agree.
    options = {"per_channel": True, "weight_type": QuantType.QInt8, "reduce_range": True}
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it recommends a preparation that this graph doesn't need
    try:
        quantize_dynamic(graph, file, op_types_to_quantize=["LSTM"], **options)
    finally:
        root.setLevel(level)


def measure_folder(folder: Path, config: PreTrainedConfig, check: Check) -> Measured:
    """Let the export in a folder read the texts of a check, and compare.

    Args:
        folder: What `write_variant` wrote.
        config: The model's.
        check: The texts.

    Raises:
        InputError: Of a regressor, all targets are the same.
    """
    logits = np.stack(list(OnnxClassifier(folder).logits(check.texts)))  # [N, C]
    differences = np.abs(logits - check.logits) / np.maximum(1, np.abs(check.logits))
    before, after = answers(check.logits, config), answers(logits, config)
    references = before if check.references is None else check.references
    if config.problem_type == REGRESSION and check.references is not None and np.ptp(references) == 0:
        raise InputError(
            f"Of {check.source} all targets are the same, so no R² tells how much an export loses. Measure on other "
            "texts, by --dataset."
        )
    metric = BEST_METRIC[config.problem_type or SINGLE_LABEL]
    same = (before == after).reshape(len(before), -1).all(axis=1).mean()
    return Measured(
        texts=len(check.texts),
        source=check.source,
        labelled=check.references is not None,
        largest_difference=float(differences.max()),
        same_answer=None if config.problem_type == REGRESSION else float(same),
        metric=metric,
        in_torch=measure(config, check.logits, references)[metric],
        exported=measure(config, logits, references)[metric],
    )


def answers(logits: np.ndarray, config: PreTrainedConfig) -> np.ndarray:
    """What logits ``[N, C]`` say: class ids ``[N]``, 0s and 1s ``[N, C]``, or values ``[N, C]``."""
    if config.problem_type == REGRESSION:
        return logits
    if config.problem_type == MULTI_LABEL:
        return applying(config, logits).astype(np.float64)
    return logits.argmax(axis=-1)
