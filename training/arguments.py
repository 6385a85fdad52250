"""What a training run is told: which texts, and which model; how it is trained stands in `training_arguments`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from glove_bilstm.tokenization.choice import AUTO
from glove_bilstm.training.tasks import PROBLEM_TYPES, ProblemType
from glove_bilstm.vectors.alignment import OutOfVocabulary
from glove_bilstm.vectors.sources import DEMO


@dataclass
class DataArguments:
    """Which texts, and where in them the text and the label stand.

    Attributes:
        dataset: A Hub id, a folder or a file that `datasets.load_dataset` reads, or "demo".
        text_column: The column of texts.
        text_pair_column: The column of second texts, where each row has a pair of texts. None: it has one text.
        label_column: The column of labels: strings, ints or a `ClassLabel`; lists of them for multi-label
            classification; numbers for regression.
        problem_type: The task. None: the column of labels tells; see `guess_problem_type`.
        validation_share: Share of the training split that is cut off, by class, where there is no validation split.
        max_length: Cut TRAINING texts to this many words, which saves time on long ones; of a pair, counted with the
            separator, the longer text is cut first. None: they are read whole, as all texts are outside training.
    """

    dataset: str | Path = DEMO
    text_column: str = "text"
    text_pair_column: str | None = None
    label_column: str = "label"
    problem_type: ProblemType | None = None
    validation_share: float = 0.1
    max_length: int | None = None

    def __post_init__(self) -> None:
        """Check the choices and ranges.

        Raises:
            ValueError: A value is none of its choices, or outside its range.
        """
        if self.problem_type not in (None, *PROBLEM_TYPES):
            raise ValueError(f"--problem_type {self.problem_type} is none of {', '.join(PROBLEM_TYPES)}.")
        if not 0 < self.validation_share < 1:
            raise ValueError(f"--validation_share must lie between 0 and 1; it is {self.validation_share}.")
        # Of a pair at least a word of each text, and the separator.
        at_least(1 if self.text_pair_column is None else 3, max_length=self.max_length)


@dataclass
class ModelArguments:
    """Which vectors, vocabulary and architecture.

    Attributes:
        vectors: The name of a published set, the path of a file, or "demo"; see `load_vectors`.
        no_cache: Neither keep what was read from the vectors, nor use what was kept.
        profile: How text is split into words. "auto": as the vectors' own words were; see `choose_profile`.
        min_frequency: Leave out words that occur less often in the training texts.
        min_frequency_without_vector: The same, of words that the vectors don't have: all of them are read as `<unk>`,
            whose vector then learns what such words have in common. Otherwise nothing in training is ever unknown.
        max_vocabulary: Keep this many of the training words at the most. None: all.
        extra_words: Add the words of this many rows from the head of the vectors file, so that words the training
            texts never had keep their vectors when the model is used.
        oov: The vector of a word that the file doesn't have; see `embedding_matrix`.
        hidden_size: Size of one direction's state.
        num_hidden_layers: LSTM layers.
        pooling: How states become one vector; see `GloveBiLSTMConfig`.
        embedding_dropout: Dropout on the word vectors.
        lstm_dropout: Dropout between the layers.
        classifier_dropout: Dropout before the linear layer.
    """

    vectors: str | Path = DEMO
    no_cache: bool = False
    profile: str = AUTO
    min_frequency: int = 1
    min_frequency_without_vector: int = 1
    max_vocabulary: int | None = None
    extra_words: int = 20_000
    oov: OutOfVocabulary = "normal"
    hidden_size: int = 256
    num_hidden_layers: int = 2
    pooling: Literal["last", "mean", "max", "mean_max", "attention"] = "last"
    embedding_dropout: float = 0.5
    lstm_dropout: float = 0.5
    classifier_dropout: float = 0.5

    def __post_init__(self) -> None:
        """Check the ranges that the model's configuration doesn't.

        Raises:
            ValueError: A value is outside its range.
        """
        at_least(
            1,
            min_frequency=self.min_frequency,
            min_frequency_without_vector=self.min_frequency_without_vector,
            max_vocabulary=self.max_vocabulary,
        )
        at_least(0, extra_words=self.extra_words)


def at_least(lowest: int, **values: int | None) -> None:
    """Check options, as far as they are given.

    Raises:
        ValueError: One is lower.
    """
    for name, value in values.items():
        if value is not None and value < lowest:
            raise ValueError(f"--{name} must be at least {lowest}; it is {value}.")
