"""A classifier exported by `glove-bilstm export`, without torch and transformers.

This file is copied beside every exported model, and stands alone: it needs numpy, onnxruntime and tokenizers.

    from onnx_classifier import OnnxClassifier

    classify = OnnxClassifier.from_pretrained("folder")  # or the name of a repository on the Hub
    print(classify("What a lovely surprise."))
"""

import hashlib
import json
import os
import re
import reprlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

Text = str | tuple[str, str]
"""A text, or a pair of them."""

MODEL, TOKENIZER, CONFIG = FILES = ("model.onnx", "tokenizer.json", "config.json")
BATCH = 128
CHUNK = 25
"""How many batches are read ahead and sorted by length: enough to pad little, and memory stays flat."""
MOST_CHARACTERS = 5_000_000
"""Of the texts in them, after which no more are read ahead: 3,200 reviews of films have as many."""
MOST_TOKENS = 4096
"""In a batch, padding included: of longer texts fewer go together, so that what is computed with stays in caches."""
SEPARATOR = "<sep>"
REGRESSION, MULTI_LABEL = "regression", "multi_label_classification"


class OnnxClassifier:
    """Classifies texts with onnxruntime. One of them may be used by several threads at once.

    Attributes:
        folder: Where its files are.
        problem_type: The task, as the model's configuration names it. None: single-label classification.
        labels: The labels' names, by id.
        thresholds: Of a multi-label classifier, the probability from which on each label applies, ``[C]``.
        sep_token: What stands between two texts. None: it was trained on single ones.
        threads: That read batches.
    """

    def __init__(self, folder: str | Path, threads: int | None = None) -> None:
        """Load an exported model.

        Args:
            folder: It holds `FILES`.
            threads: That read batches. None: as many as there are processors to use.

        Raises:
            FileNotFoundError: One of the files isn't there.
            ValueError: One of them is broken, or doesn't fit the others; or `threads` is below 1.
        """
        _at_least_one(threads=threads)
        self.folder = Path(folder).absolute()  # for the process it is sent to, and if this one goes elsewhere
        for name in FILES:
            if not (self.folder / name).is_file():
                raise FileNotFoundError(f"{self.folder} holds no exported model: it has no {name}.")
        processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        self.threads = threads or processors or 1
        for name, load in {CONFIG: self._configure, TOKENIZER: self._load_tokenizer, MODEL: self._load_model}.items():
            try:
                load(self.folder / name)
            except ImportError:
                raise
            except Exception as error:  # each library has errors of its own
                told = f"it has no {error}" if isinstance(error, KeyError) else (str(error) or repr(error))
                told = told.splitlines()[0].removesuffix(".")
                raise ValueError(
                    f"{self.folder / name} is none of an exported model: {told}. Export it again."
                ) from error

    def _configure(self, file: Path) -> None:
        config = json.loads(file.read_text(encoding="utf-8"))
        self.problem_type: str | None = config.get("problem_type")
        self._padding: int = config["pad_token_id"]
        if self._padding not in range(config["vocab_size"]):
            raise ValueError(f"its pad_token_id is {self._padding!r}, and its vocab_size {config['vocab_size']}")
        names = {int(number): name for number, name in config["id2label"].items()}
        self.labels = [names[number] for number in range(len(names))]
        given = config.get("thresholds")
        self.thresholds = np.full(len(names), 0.5) if given is None else np.array(given, dtype=np.float64)
        if self.thresholds.shape != (len(names),):
            raise ValueError(f"it has {len(names)} labels, and its thresholds are {given}")
        self._quantized = config.get("quantize") is not None

    def _load_model(self, file: Path) -> None:
        self._model = os.fsencode(file).decode("utf-8", "surrogateescape")  # onnxruntime's paths are UTF-8
        self._session = self._begin(1)  # each thread reads a batch of its own
        logits = self._session.get_outputs()[0].shape[-1]
        if logits != len(self.labels):
            raise ValueError(f"it gives {logits} logits for a text, and {CONFIG} has {len(self.labels)} labels")

    def _load_tokenizer(self, file: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_str(file.read_text(encoding="utf-8"))  # a path may be no UTF-8
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.sep_token = SEPARATOR if self._tokenizer.token_to_id(SEPARATOR) is not None else None

    def _begin(self, threads: int) -> Any:
        """A session that lets so many threads work on one batch."""
        from onnxruntime import InferenceSession, SessionOptions

        options = SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        return InferenceSession(self._model, options, providers=["CPUExecutionProvider"])

    def __reduce__(self) -> Any:
        """For another process: it loads the folder again."""
        return type(self), (self.folder, self.threads)

    @cached_property
    def _session_for_one(self) -> Any:
        """The session for a text that comes alone. Two threads are a third faster with it, but not in int8."""
        return self._session if self._quantized or self.threads == 1 else self._begin(2)

    @classmethod
    def from_pretrained(
        cls, model: str | Path, revision: str | None = None, threads: int | None = None
    ) -> "OnnxClassifier":
        """Load an exported model.

        Args:
            model: A folder, or the name of a repository on the Hub, with the files at its top or in its folder "onnx".
            revision: A branch, tag or commit of the repository.
            threads: See `OnnxClassifier`.

        Raises:
            FileNotFoundError: There is no exported model.
            ValueError: What the Hub sent is damaged, or a file is broken.
        """
        if not model:
            raise FileNotFoundError("The name of the model is empty; give a folder, or a repository on the Hub.")
        if not Path(model).is_dir():
            if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", str(model)):
                raise FileNotFoundError(f"There is no folder {model}, and no repository on the Hub has such a name.")
            from huggingface_hub import snapshot_download  # tokenizers needs it too, so it is there

            patterns = [f"{folder}{name}" for folder in ("", "onnx/") for name in FILES]
            model = snapshot_download(str(model), revision=revision, allow_patterns=patterns)
            for file in Path(model).glob(f"**/{MODEL}"):
                verify_download(file, f"{file.name} of the repository")
        folder = Path(model)
        return cls(
            folder / "onnx" if not (folder / MODEL).exists() and (folder / "onnx").is_dir() else folder, threads
        )

    def __call__(self, texts: Any, top_k: int | str | None = "", batch_size: int = BATCH) -> Any:
        """Classify as `pipeline("text-classification")` does.

        Args:
            texts: A text, a pair as ``{"text": …, "text_pair": …}``, or any number of either.
            top_k: How many labels to give of each text, the most probable first. None: all. Left out: one.
            batch_size: Texts in one pass through the model, at most.

        Returns:
            ``{"label": str, "score": float}`` for each text; with `top_k`, a list of these for each. Of one text or
            pair that isn't in a list, its answer alone; but without `top_k`, a text's answer is in a list still.

        Raises:
            TypeError: One is neither a text nor a pair.
            ValueError: One holds what is no character, or `top_k` or `batch_size` is below 1.
        """
        _at_least_one(batch_size=batch_size, top_k=None if top_k == "" else top_k)
        alone = isinstance(texts, str | bytes | dict) or not isinstance(texts, Iterable)
        given = [_as_text(text) for text in ([texts] if alone else texts)]
        answers: list[Any] = []
        # Threads that are begun for one text take as long as the text.
        for logits in self.forward(self.encode(given)) if len(given) == 1 else self.logits(given, batch_size):
            scores = to_scores(logits, self.problem_type)
            best = np.argsort(-scores, kind="stable")[: 1 if top_k == "" else top_k]
            ranked = [{"label": self.labels[label], "score": float(scores[label])} for label in best]
            answers.append(ranked[0] if top_k == "" else ranked)
        return answers if isinstance(texts, str) and top_k == "" or not alone else answers[0]

    def classify(self, texts: Iterable[Text], batch_size: int = BATCH) -> Iterator[dict[str, Any]]:
        """Say what `glove-bilstm predict` says of each text, in their order: any number, in flat memory.

        Yields:
            ``{"label": str, "score": float}``, for regression the value as the score; of a multi-label classifier
            ``{"labels": [str], "scores": [float]}``, those that reach their threshold, the most probable first.
        """
        for logits in self.logits(texts, batch_size):
            yield to_answer(logits, self.problem_type, self.labels, self.thresholds)

    def logits(self, texts: Iterable[Text], batch_size: int = BATCH) -> Iterator[np.ndarray]:
        """The logits of each text, float32 ``[C]``, in the order of the texts."""
        return read_in_batches(map(_as_text, texts), self.encode, self.forward, self.threads, batch_size)

    def encode(self, texts: Sequence[Text]) -> list[list[int]]:
        """Texts as token ids; of a pair with an empty second text, those of the first.

        Raises:
            ValueError: One holds what is no character.
        """
        given = [text[0] if isinstance(text, tuple) and not text[1] else text for text in texts]
        try:
            return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(given)]
        except TypeError:  # which doesn't say of which text
            for text in given:
                for part in [text] if isinstance(text, str) else text:
                    _check_characters(part)
            raise

    def forward(self, encoded: Sequence[list[int]]) -> np.ndarray:
        """Token ids of texts → logits, float32 ``[B, C]``, in one pass."""
        longest = max(1, *map(len, encoded)) if encoded else 1
        ids = np.full((len(encoded), longest), self._padding, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, of_text in enumerate(encoded):
            ids[row, : len(of_text)] = of_text
            mask[row, : len(of_text)] = 1
        session = self._session_for_one if len(encoded) == 1 else self._session
        return session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0]


def read_chunk(texts: Iterator[Text], batch_size: int) -> tuple[list[Text], bool]:
    """The next texts to be sorted by length together, and whether those are all that may be, or only all there are."""
    most = CHUNK * batch_size
    chunk: list[Text] = []
    characters = 0
    for text in islice(texts, most):
        chunk.append(text)
        characters += len(text) if isinstance(text, str) else sum(map(len, text))
        if characters >= MOST_CHARACTERS:
            break
    return chunk, len(chunk) == most or characters >= MOST_CHARACTERS


def read_in_batches(
    texts: Iterable[Text], encode: Any, forward: Any, threads: int, batch_size: int = BATCH
) -> Iterator[Any]:
    """Let threads read texts in batches of about one length, and give the rows that come of it in the texts' order.

    Each thread takes batches of its own. All of them at work on one batch would wait for each other at every word.

    Args:
        texts: Any number; they are read as they are needed.
        encode: A list of texts → their token ids.
        forward: A list of token ids → a row for each.
        threads: How many.
        batch_size: Texts in one batch, at most.

    Raises:
        ValueError: `batch_size` is below 1.
    """
    _at_least_one(batch_size=batch_size)
    remaining = iter(texts)
    pool = ThreadPoolExecutor(threads)

    def begin() -> list[tuple[list[int], Future[Any]]]:
        encoded = encode(read_chunk(remaining, batch_size)[0])
        batches = batches_by_length([len(ids) for ids in encoded], batch_size, threads)
        return [(rows, pool.submit(forward, [encoded[row] for row in rows])) for rows in batches]

    try:
        chunks = deque([begin()])
        while chunks[0]:
            chunks.append(begin())  # encoded while the texts before are read
            done: dict[int, Any] = {}
            for rows, batch in chunks.popleft():
                done |= zip(rows, batch.result(), strict=True)
            for place in range(len(done)):
                yield done[place]
    finally:
        pool.shutdown(cancel_futures=True)


def batches_by_length(lengths: Sequence[int], batch_size: int, threads: int) -> Iterator[list[int]]:
    """Texts of about the same length, by their places; the longest first, lest one is waited for at the end.

    From a quarter of the size on, a batch ends where the length changes: texts of one length need no padding.
    """
    most = min(batch_size, -(-len(lengths) // threads))  # something for everyone, of few texts too
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        full = len(batch) == most or (batch and lengths[batch[0]] * (len(batch) + 1) > MOST_TOKENS)
        if full or (len(batch) >= batch_size / 4 and lengths[row] != lengths[batch[-1]]):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def verify_download(file: Path, name: str) -> None:
    """Hold a large file against the hash that the Hub told, which names it in the cache. The client checks its size.

    Raises:
        ValueError: They differ; the file is removed.
    """
    blob = file.resolve()
    if not re.fullmatch(r"[0-9a-f]{64}", blob.name):  # not a cache with such names
        return
    with blob.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != blob.name:
        blob.unlink()
        raise ValueError(
            f"What came of {name} has the SHA-256 {found}, and the Hub says {blob.name}: the download was damaged. "
            "It was removed; try again."
        )


def to_scores(logits: np.ndarray, problem_type: str | None) -> np.ndarray:
    """Logits ``[C]`` → probabilities, or of a regressor the value, ``[C]``, as `pipeline` makes them."""
    if problem_type == REGRESSION:
        return logits
    if problem_type == MULTI_LABEL or len(logits) == 1:
        return np.exp(-np.logaddexp(0, -logits))  # the sigmoid; of -100 too
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def to_answer(
    logits: np.ndarray, problem_type: str | None, labels: Sequence[str], thresholds: np.ndarray
) -> dict[str, Any]:
    """What `OnnxClassifier.classify` says of a text with these logits ``[C]``."""
    scores = to_scores(logits, problem_type)
    if problem_type == MULTI_LABEL:
        applying = np.flatnonzero(scores >= thresholds)
        applying = applying[np.argsort(-scores[applying], kind="stable")]
        return {"labels": [labels[label] for label in applying.tolist()], "scores": scores[applying].tolist()}
    best = int(scores.argmax())
    return {"label": labels[best], "score": float(scores[best])}


def _at_least_one(**numbers: Any) -> None:
    for name, number in numbers.items():
        if number is not None and not (isinstance(number, int) and number >= 1):
            raise ValueError(f"{name} must be at least 1; it is {number!r}.")


def _as_text(text: Any) -> Text:
    if isinstance(text, dict) and "text" in text:
        pair = text.get("text_pair")
        text = text["text"] if pair is None else (text["text"], pair)
    parts = text if isinstance(text, tuple) and len(text) == 2 else [text]
    if all(isinstance(part, str) for part in parts):
        return text
    told = "" if not any(isinstance(part, bytes) for part in parts) else " Decode bytes: text.decode('utf-8')."
    raise TypeError(f'{text!r} is neither a text nor a pair of texts, {{"text": …, "text_pair": …}}.{told}')


def _check_characters(text: str) -> None:
    """See that all of a text is characters; half of one is what Python keeps of bytes that aren't UTF-8."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{reprlib.repr(text)} can't be read: {text[error.start]!r} at its place {error.start:,} is no character, "
            "but half of one. Remove it, or see why what the text comes from isn't read as UTF-8."
        ) from None
