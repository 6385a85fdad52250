"""Adding words with their vectors to a model that is trained already."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers.models import WordLevel
from transformers import TokenizersBackend

from glove_bilstm.modeling.modeling_glove_bilstm import GloveBiLSTMPreTrainedModel
from glove_bilstm.tokenization.vocabulary import as_one_word, count_split, splitter
from glove_bilstm.tokenization.word_level import PreTrainedTokenizerFast
from glove_bilstm.training.linear_map import fit_map
from glove_bilstm.vectors.errors import InputError
from glove_bilstm.vectors.word_vectors import WordVectors

ENOUGH_KNOWN = 5
"""Words of the model that the vectors must have too, to tell whether the model was made from them."""
FROM_VECTOR = 0.5
"""Cosine between a row and a vector, both without the mean of all, above which the row comes from the vector. For the
fine-tuned demo it is 0.998; with vectors of other words, or trained on other text, 0.00."""
MOST = 0.5
"""Share of the rows that must come from these vectors if the model was made from them. Not all do: a word that had no
vector in training, because fewer were loaded, has a row of its own."""
UNMOVED = 0.9
"""Share of the rows from vectors that are still the vectors if the embedding has always been frozen."""
ROUNDING = 1e-3
"""Share of a vector's length by which a row may differ from it and count as the same. Fine-tuning the demo at a
learning rate of 1e-3 moved every row that a text met by 0.017 or more."""
MAPPED_FROM = "mapped_from"
"""Where `config.word_vectors` notes the first id whose row was mapped and not trained: no evidence for another map."""


@dataclass(frozen=True)
class Extension:
    """What `extend_vocabulary` did. Words are spelled as the tokenizer spells them.

    Attributes:
        added: The words that have a row now, in the order of their ids.
        known: How many of the words were known before, special tokens among them.
        missing: The words without a vector and how often they were met, the most frequent first. They weren't added.
        unreachable: The words as they were given that the tokenizer takes apart, or drops. They weren't added.
        total: Words that the tokenizer knows now, without its special tokens.
        exact: Whether the new rows lie where training would have had them: the vectors' own, as the model's rows are.
            False: training has moved the rows.
        mapped: Whether the vectors went through the map: only where that is better than taking them as they are.
        map_error: How far the map from vectors to trained rows is off on rows that it wasn't fitted to: the length of
            the differences by that of the rows. None: there is nothing to map, or too few rows to fit a map to.
        identity_error: The same where the vectors are taken as they are. None: there is nothing to map.
    """

    added: list[str]
    known: int
    missing: list[tuple[str, int]]
    unreachable: list[str]
    total: int
    exact: bool
    mapped: bool
    map_error: float | None
    identity_error: float | None

    def __str__(self) -> str:
        """The one line that everybody wants to see."""
        new = len(self.added) + len(self.missing) + len(self.unreachable)
        left_out = [
            f"{len(words):,} {reason}"
            for words, reason in (
                (self.missing, "without a vector"),
                (self.unreachable, "not one word to the tokenizer"),
            )
            if words
        ]
        text = f"added {len(self.added):,} of {new:,} new words"
        text += f" ({', '.join(left_out)})" if left_out else ""
        text += f"; {self.total:,} words now"
        if self.added and self.mapped:
            text += f"; mapped to where training moved the others (error {self.map_error:.4f}, "
            text += f"{self.identity_error:.4f} unmapped)"
        elif self.added and not self.exact:
            text += f"; the vectors' own rows, though training moved the others (error {self.identity_error:.3f})"
        return text


def extend_vocabulary(
    model: GloveBiLSTMPreTrainedModel,
    tokenizer: TokenizersBackend,
    vectors: WordVectors,
    *,
    words: Iterable[str] | None = None,
    texts: Iterable[str] | None = None,
) -> Extension:
    """Add words with their vectors to a trained model and its tokenizer, in place and without training.

    No row that was there before changes, so texts of known words get the same logits, to the bit. Where the embedding
    was frozen, the new words are understood as if they had been there in training. Where it was fine-tuned, their
    vectors go through a linear map fitted from the original to the trained rows of the words that both have (Kiros et
    al. 2015, "Skip-Thought Vectors", section 2.2, https://arxiv.org/abs/1506.06726, after Mikolov et al. 2013,
    https://arxiv.org/abs/1309.4168), unless held-out rows are met better by the vectors as they are.

    Args:
        model: Any GloveBiLSTM model. An optimizer made for it before doesn't fit it afterwards.
        tokenizer: The model's own.
        vectors: Those that the model was made from: all, or at least those of the new words and some of the model's,
            loaded with the profile that ``model.config.word_vectors`` names, by whose spellings they are looked for.
        words: Words to add, in this order. They are spelled as the tokenizer spells them ("Paris" may become "paris").
        texts: Texts whose words to add instead, the most frequent first.

    Returns:
        What was added and what wasn't. Words without a vector aren't: a random row would only be noise.

    Raises:
        ValueError: Not exactly one of `words` and `texts` is given, or it is a single string.
        InputError: The vectors aren't those of the model, or the tokenizer isn't; nothing has changed then.
    """
    given = words if texts is None else texts
    if given is None or (words is not None and texts is not None):
        raise ValueError("Give either words or texts, and not both.")
    if isinstance(given, str):
        raise ValueError(f"{given!r} is one string; give an iterable of strings.")
    vocabulary = _vocabulary(tokenizer)
    weight = model.get_input_embeddings().weight.detach()  # [V, D]
    if len(vocabulary) > len(weight):
        raise InputError(
            f"The tokenizer knows {len(vocabulary):,} words and the model has {len(weight):,} rows: they don't belong "
            "together. Load both from one folder."
        )
    # Looked up as the model's words were, whatever profile the name of the vectors tells.
    vectors = vectors.with_profile((model.config.word_vectors or {}).get("profile", vectors.profile))
    known_rows = _compare(model, tokenizer, vectors, vocabulary)

    split = splitter(tokenizer.backend_tokenizer.normalizer, tokenizer.backend_tokenizer.pre_tokenizer)
    unreachable: list[str] = []
    if texts is not None:
        counts = count_split(texts, split)
        counts = Counter(dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))))
    else:
        counts, unreachable = _spell(tokenizer, split, given)
    new = [word for word in counts if word not in vocabulary]
    found = {word: row[1] for word in new if (row := vectors.find(word)) is not None}
    missing = sorted(((word, counts[word]) for word in new if word not in found), key=lambda entry: -entry[1])

    rows = np.array(list(found.values()), dtype=np.float32).reshape(len(found), vectors.dim)
    map_error = identity_error = None
    mapped = False
    if not known_rows.exact:
        fitted = fit_map(known_rows.original, known_rows.trained)
        map_error, identity_error = fitted.error, fitted.identity_error
        mapped = map_error is not None and map_error < identity_error
        if mapped:
            rows = fitted(rows)

    first = len(vocabulary)
    # Rows beyond the vocabulary's, such as pad_to_multiple_of makes, belong to no word yet.
    extended = weight.new_zeros(max(len(weight), first + len(rows)), vectors.dim)  # [new V, D]
    extended[: len(weight)] = weight
    extended[first : first + len(rows)] = torch.from_numpy(rows).to(weight)
    ids = vocabulary | {word: position for position, word in enumerate(found, first)}
    # Not added tokens: those are cut out of a text before it is split, also out of the middle of longer words.
    word_level = WordLevel(ids, unk_token=tokenizer.backend_tokenizer.model.unk_token)

    # Nothing below can fail.
    tokenizer.backend_tokenizer.model = word_level
    if type(tokenizer) is TokenizersBackend:  # AutoTokenizer's, which transformers 4 couldn't load once it was saved
        tokenizer.__class__ = PreTrainedTokenizerFast
    embeddings = model.get_input_embeddings()
    embeddings.weight.grad = None
    embeddings.weight.data = extended
    embeddings.num_embeddings = model.config.vocab_size = len(extended)
    if model.config.word_vectors is not None:
        provenance = dict(model.config.word_vectors)
        if "rows" in provenance:
            provenance["rows"] += len(found)
        if mapped:
            provenance.setdefault(MAPPED_FROM, first)
        model.config.word_vectors = provenance
    return Extension(
        added=list(found),
        known=len(counts) - len(new),
        missing=missing,
        unreachable=unreachable,
        total=len(ids) - len(tokenizer.added_tokens_encoder),
        exact=known_rows.exact,
        mapped=mapped,
        map_error=map_error,
        identity_error=identity_error,
    )


def _vocabulary(tokenizer: TokenizersBackend) -> dict[str, int]:
    """Word → id in the order of the ids, special tokens included.

    Raises:
        InputError: The tokenizer isn't one that words can be put at the end of.
    """
    backend = tokenizer.backend_tokenizer
    if not isinstance(backend.model, WordLevel) or backend.normalizer is None or backend.pre_tokenizer is None:
        raise InputError("Only a tokenizer with one id for each word, as build_tokenizer makes it, can be extended.")
    # It comes in another order every time, and a sum's last bit depends on the order.
    unordered = backend.get_vocab(with_added_tokens=False)
    vocabulary = dict(sorted(unordered.items(), key=lambda entry: entry[1]))
    added = [token for token in tokenizer.added_tokens_encoder if token not in vocabulary]
    if added:
        raise InputError(
            f"The tokenizer has tokens that were added behind its words ({', '.join(added[:5])}), where the new words "
            "belong. Extend the vocabulary first, and then add tokens."
        )
    if list(vocabulary.values()) != list(range(len(vocabulary))):
        raise InputError("The tokenizer's ids have gaps. Make it with build_tokenizer.")
    return vocabulary


def _spell(
    tokenizer: TokenizersBackend, split: Callable[[str], list[str]], words: Iterable[str]
) -> tuple[Counter[str], list[str]]:
    """Words as the tokenizer looks them up, in the order given, and those that it makes no or several words of."""
    counts: Counter[str] = Counter()
    unreachable = []
    for word in words:
        spelled = word if word in tokenizer.added_tokens_encoder else as_one_word(split, word)
        if spelled is None:
            unreachable.append(word)
        else:
            counts[spelled] += 1
    return counts, list(dict.fromkeys(unreachable))


@dataclass(frozen=True)
class _KnownRows:
    """The rows of the words that both a model and the vectors have, as far as training has moved them.

    Attributes:
        exact: Whether training has moved none.
        original: As they were, float32 ``[N, D]``.
        trained: As they are, float32 ``[N, D]``.
    """

    exact: bool
    original: np.ndarray
    trained: np.ndarray


def _compare(
    model: GloveBiLSTMPreTrainedModel, tokenizer: TokenizersBackend, vectors: WordVectors, vocabulary: dict[str, int]
) -> _KnownRows:
    """Look at the rows of known words.

    Raises:
        InputError: The model wasn't made from these vectors, or they have too few of its words to tell.
    """
    weight = model.get_input_embeddings().weight.detach()  # [V, D]
    provenance = model.config.word_vectors or {}
    name = f", {provenance['name']}" if "name" in provenance else ""
    advice = f"Give the vectors that the model was made from{name}."
    if vectors.dim != weight.shape[1]:
        raise InputError(f"The vectors have {vectors.dim} numbers, the model's rows {weight.shape[1]}. {advice}")
    # Only words found as they are spelled: which other spelling a word was found under in training depends on which
    # vectors were loaded then.
    shared = {
        position: row[1]
        for word, position in list(vocabulary.items())[: provenance.get(MAPPED_FROM)]
        if word not in tokenizer.added_tokens_encoder and (row := vectors.find(word)) is not None and row[0] == "exact"
    }
    if len(shared) < ENOUGH_KNOWN:
        raise InputError(
            f"These vectors have {len(shared)} of the model's words, too few to tell whether it was made from them. "
            "Load all vectors, or those of its words too: load_vectors(name, words=[*tokenizer.get_vocab(), *words], "
            f"profile={vectors.profile!r})."
        )
    original = np.stack(list(shared.values()))  # [N, D]
    present = weight[list(shared)].float().cpu().numpy()  # [N, D]
    lengths = np.linalg.norm(original, axis=1)  # [N]
    tolerance = max(ROUNDING, torch.finfo(weight.dtype).eps) * lengths  # [N]
    same = np.linalg.norm(present - original, axis=1) <= tolerance  # [N]
    # The directions that all rows share would make any two look alike.
    from_vector = _cosines(original - original.mean(axis=0), present - present.mean(axis=0)) >= FROM_VECTOR  # [N]
    if from_vector.mean() < MOST:
        raise InputError(
            f"Of {len(shared):,} words that the model and these vectors have, only {from_vector.sum():,} have a row "
            f"that can come from these vectors. {advice}"
        )
    if model.config.freeze_embeddings:
        if same[from_vector].mean() < UNMOVED:
            raise InputError(
                f"The embedding is frozen, but {(from_vector & ~same).sum():,} of {from_vector.sum():,} rows differ "
                "from these vectors. If it was trained before it was frozen, call model.set_frozen(False) first; "
                f"otherwise: {advice}"
            )
        return _KnownRows(True, original[:0], present[:0])
    # Rows that no training text met would draw the map towards the identity, and how they would have moved is just
    # what is asked. Weight decay has made them shorter perhaps, but left them on their line.
    along = (original * present).sum(axis=1) / np.maximum(lengths**2, np.finfo(np.float32).tiny)  # [N]
    moved = from_vector & (np.linalg.norm(present - along[:, None] * original, axis=1) > tolerance)  # [N]
    return _KnownRows(not moved.any(), original[moved], present[moved])


def _cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Cosine similarity, row by row: two times ``[N, D]`` to ``[N]``."""
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)  # [N]
    return (one * other).sum(axis=1) / np.maximum(lengths, np.finfo(np.float32).tiny)
