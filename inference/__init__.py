"""Predicting with a trained model: in torch, and, exported, without it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glove_bilstm.inference.onnx_classifier import OnnxClassifier

__all__ = ["OnnxClassifier"]


def __getattr__(name: str) -> Any:
    """Load the classifier when it is first used."""
    if name in __all__:
        from glove_bilstm.inference import onnx_classifier

        return getattr(onnx_classifier, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
