"""Small, fast, Hub-native text classifiers built on pre-trained word vectors and a BiLSTM.

Importing this registers the model with transformers' Auto classes. Nothing heavy is loaded before it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from glove_bilstm._auto_classes import register_when_needed

if TYPE_CHECKING:
    from glove_bilstm.modeling.configuration_glove_bilstm import GloveBiLSTMConfig
    from glove_bilstm.modeling.modeling_glove_bilstm import GloveBiLSTMForSequenceClassification, GloveBiLSTMModel
    from glove_bilstm.tokenization.vocabulary import build_vocabulary
    from glove_bilstm.tokenization.word_level import build_tokenizer
    from glove_bilstm.training.extension import extend_vocabulary
    from glove_bilstm.training.trainer import GloveBiLSTMTrainer
    from glove_bilstm.training.training_arguments import GloveBiLSTMTrainingArguments
    from glove_bilstm.vectors.alignment import Coverage, embedding_matrix
    from glove_bilstm.vectors.word_vectors import WordVectors, load_vectors

_HOMES = {
    "WordVectors": "vectors.word_vectors",
    "load_vectors": "vectors.word_vectors",
    "embedding_matrix": "vectors.alignment",
    "Coverage": "vectors.alignment",
    "build_vocabulary": "tokenization.vocabulary",
    "build_tokenizer": "tokenization.word_level",
    "GloveBiLSTMConfig": "modeling.configuration_glove_bilstm",
    "GloveBiLSTMModel": "modeling.modeling_glove_bilstm",
    "GloveBiLSTMForSequenceClassification": "modeling.modeling_glove_bilstm",
    "extend_vocabulary": "training.extension",
    "GloveBiLSTMTrainer": "training.trainer",
    "GloveBiLSTMTrainingArguments": "training.training_arguments",
}

__all__ = [
    "Coverage",
    "GloveBiLSTMConfig",
    "GloveBiLSTMForSequenceClassification",
    "GloveBiLSTMModel",
    "GloveBiLSTMTrainer",
    "GloveBiLSTMTrainingArguments",
    "WordVectors",
    "build_tokenizer",
    "build_vocabulary",
    "embedding_matrix",
    "extend_vocabulary",
    "load_vectors",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register_when_needed()
