"""Configuration of GloveBiLSTM models. This file is shipped with every saved model, so it stands alone."""

import shutil
from pathlib import Path
from typing import Any, Literal, cast

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig


@strict
class GloveBiLSTMConfig(PreTrainedConfig):
    """Everything that defines a GloveBiLSTM model.

    Args:
        vocab_size: Rows of the embedding: the words, `<pad>` and `<unk>`.
        embedding_dim: Dimension of the word vectors.
        hidden_size: Dimension of one direction's hidden state.
        num_hidden_layers: LSTM layers, one upon the other.
        bidirectional: Read the text from both ends. A state then has ``2 * hidden_size`` values.
        pooling: How the states of the top layer become one vector: "last" (the forward state after the last word and
            the backward state after the first), "mean", "max", "mean_max" (both, side by side), or "attention" (a
            learned weight for each word; Yang et al. 2016, Hierarchical Attention Networks).
        embedding_dropout: Dropout probability on the word vectors.
        lstm_dropout: Dropout probability between the LSTM layers.
        classifier_dropout: Dropout probability on the pooled vector.
        freeze_embeddings: Whether the embedding is left as it is in training. Holds after saving and loading too.
        pad_token_id: The id of padding. Its embedding is zero and never trained.
        unk_token_id: The id of a word outside the vocabulary.
        thresholds: Multi-label: the probability from which on each label applies, in the order of their ids. None: 0.5
            for each. Logits don't depend on it; whoever turns them into labels does.
        target_mean: Regression: the mean of the training targets. The loss is computed on standardised targets, so
            that prices train as well as values from 0 to 1; the logits are in the targets' own units.
        target_std: Regression: their standard deviation.
        word_vectors: Where the embedding came from: name, sha256, dim, rows, profile and coverage of the vectors.
        **kwargs: What every `PreTrainedConfig` takes, such as `num_labels`, `id2label`, `label2id` and `problem_type`.
    """

    model_type = "glove_bilstm"
    keys_to_ignore_at_inference = ["hidden_states"]  # a Trainer would take them for predictions

    vocab_size: int = 20_000
    embedding_dim: int = 100
    hidden_size: int = 256
    num_hidden_layers: int = 2
    bidirectional: bool = True
    pooling: Literal["last", "mean", "max", "mean_max", "attention"] = "last"
    embedding_dropout: float | int = 0.5
    lstm_dropout: float | int = 0.5
    classifier_dropout: float | int = 0.5
    freeze_embeddings: bool = True
    pad_token_id: int = 0
    unk_token_id: int = 1
    thresholds: list[float | int] | None = None
    target_mean: float | int = 0.0
    target_std: float | int = 1.0
    word_vectors: dict[str, Any] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        """Name the classes that load a saved folder where this package isn't installed (`trust_remote_code`)."""
        kwargs.setdefault(
            "auto_map",
            {
                "AutoConfig": "configuration_glove_bilstm.GloveBiLSTMConfig",
                "AutoModel": "modeling_glove_bilstm.GloveBiLSTMModel",
                "AutoModelForSequenceClassification": "modeling_glove_bilstm.GloveBiLSTMForSequenceClassification",
            },
        )
        super().__post_init__(**kwargs)

    def save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> None:
        """Save the configuration as every `PreTrainedConfig` does, with the code that it names.

        Transformers saves the file of the model's own class, which for one that was derived from these is another.
        """
        for code in ("configuration_glove_bilstm.py", "modeling_glove_bilstm.py"):
            if (file := Path(__file__).with_name(code)).is_file() and not Path(save_directory).is_file():
                Path(save_directory).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, Path(save_directory, code))
        super().save_pretrained(save_directory, *args, **kwargs)

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """Make a configuration, as every `PreTrainedConfig` does; other labels leave out the thresholds of the old.

        Args:
            config_dict: What `to_dict` gave.
            **kwargs: What replaces it, such as `id2label` or `num_labels`.
        """
        # Two labels without names of their own aren't saved.
        old = list(config_dict.get("id2label", {0: "LABEL_0", 1: "LABEL_1"}).values())
        new = list((kwargs.get("id2label") or {}).values()) or old
        if new != old or kwargs.get("num_labels", len(old)) != len(old):
            config_dict = {**config_dict, "thresholds": None}
        return super().from_dict(config_dict, **kwargs)

    def validate_sizes(self) -> None:
        """Refuse a size below 1. Run by `@strict` at construction and at loading."""
        for name in ("vocab_size", "embedding_dim", "hidden_size", "num_hidden_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; it is {getattr(self, name)}.")

    def validate_special_tokens(self) -> None:
        """Refuse ids that can't be padding's or an unknown word's. Run by `@strict` like the others."""
        if not 0 <= self.pad_token_id < self.vocab_size:
            raise ValueError(
                f"pad_token_id must be a row of the embedding, 0 to {self.vocab_size - 1}; it is {self.pad_token_id}."
            )
        if self.unk_token_id < 0 or self.unk_token_id == self.pad_token_id:
            raise ValueError(
                f"unk_token_id must be 0 or more and another than padding's, {self.pad_token_id}; "
                f"it is {self.unk_token_id}."
            )

    def validate_labels(self) -> None:
        """Refuse what can't be learned. Run by `@strict` at construction and at loading."""
        if cast(int, self.num_labels) < 1:
            raise ValueError(f"num_labels must be at least 1; it is {self.num_labels}.")
        known = ("regression", "single_label_classification", "multi_label_classification")
        if self.problem_type is not None and self.problem_type not in known:
            raise ValueError(f"problem_type must be one of {', '.join(known)}, or None; it is {self.problem_type!r}.")

    def validate_dropout(self) -> None:
        """Refuse a probability outside [0, 1]. Run by `@strict` at construction and at loading."""
        for name in ("embedding_dropout", "lstm_dropout", "classifier_dropout"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1; it is {getattr(self, name)}.")

    def validate_thresholds(self) -> None:
        """Refuse thresholds that aren't one probability a label. Run by `@strict` at construction and at loading."""
        if self.thresholds is None:
            return
        if len(self.thresholds) != self.num_labels:
            raise ValueError(
                f"There are {len(self.thresholds)} thresholds for {self.num_labels} labels; give each one, "
                "or thresholds=None."
            )
        for threshold in self.thresholds:
            if not 0 <= threshold <= 1:
                raise ValueError(f"A threshold must be between 0 and 1; one is {threshold}.")

    def validate_target_scale(self) -> None:
        """Refuse what targets can't be standardised with. Run by `@strict` at construction and at loading."""
        if not abs(self.target_mean) < float("inf"):
            raise ValueError(f"target_mean must be a finite number; it is {self.target_mean}.")
        if not 0 < self.target_std < float("inf"):
            raise ValueError(f"target_std must be a finite number above 0; it is {self.target_std}.")


# A class derived from this one, in a module of its own, is then saved with that module's file, which `auto_map` names;
# and transformers takes all of them for custom code.
GloveBiLSTMConfig.register_for_auto_class()
