"""The word-level tokenizer: one id a word, in the order of the vocabulary."""

from collections.abc import Iterable, Mapping
from typing import Any

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerBase, TokenizersBackend

from glove_bilstm.tokenization.profiles import find_profile
from glove_bilstm.vectors.special_tokens import PAD_TOKEN, SEP_TOKEN, UNK_TOKEN, in_id_order


class PreTrainedTokenizerFast(TokenizersBackend):
    """Transformers' own fast tokenizer, saved under the name that every version of it and other tools know.

    In transformers 5 `PreTrainedTokenizerFast` is an alias, and a tokenizer would be saved as ``TokenizersBackend``,
    which transformers 4 can't load. A class's own name is what is written, so this one only carries the name.
    """


def build_tokenizer(vocabulary: Iterable[str] | Mapping[str, int], profile: str = "glove") -> PreTrainedTokenizerFast:
    """Make a tokenizer that gives each word of a vocabulary its position as its id.

    It splits and looks up in Rust, produces ``input_ids`` and ``attention_mask``, and once saved loads with plain
    `AutoTokenizer`, without remote code. (Beside a model that has some, transformers asks about that first, unless
    ``trust_remote_code`` is given; False will do.)

    Texts that are split already are better joined with spaces than given with ``is_split_into_words``: a profile may
    look at what stands before and behind, as "glove" does to tell "mr." from a sentence's end.

    Args:
        vocabulary: Ordered words, with or without the two special tokens in front. ``<pad>`` is 0 and ``<unk>`` 1.
            With ``<sep>`` among them, which then is 2, the tokenizer is one for pairs: it puts ``<sep>`` between the
            two texts, and leaves a single text as it is.
        profile: How text is normalised and split; the same as the vocabulary was counted with.

    Raises:
        ValueError: There is no such profile, or a word occurs twice.
    """
    chosen = find_profile(profile)
    ids = {token: position for position, token in enumerate(in_id_order(vocabulary))}
    backend = Tokenizer(WordLevel(ids, unk_token=UNK_TOKEN))
    backend.normalizer = chosen.make_normalizer()
    backend.pre_tokenizer = chosen.make_pre_tokenizer()
    separator: dict[str, Any] = {}
    if SEP_TOKEN in ids:
        separator = {"sep_token": SEP_TOKEN}
        backend.post_processor = TemplateProcessing(
            single="$A", pair=f"$A {SEP_TOKEN} $B", special_tokens=[(SEP_TOKEN, ids[SEP_TOKEN])]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD_TOKEN,
        unk_token=UNK_TOKEN,
        **separator,
        padding_side="right",
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
    )


def encode_texts(
    tokenizer: PreTrainedTokenizerBase, texts: Iterable[str | tuple[str, str]], max_length: int | None = None
) -> list[list[int]]:
    """The token ids of many texts, or pairs of them, at the speed of the Rust tokenizer.

    They are those that the tokenizer gives when it is called, which takes twice as long for short texts: it collects
    offsets and more, which nobody reads. Of a pair with an empty second text they are the first one's, as they are
    where one pair at a time is given, as `pipeline` does.

    Args:
        tokenizer: Any tokenizer.
        texts: The texts.
        max_length: Ids to cut each text to. None: none are cut.
    """
    given: list[Any] = [text[0] if isinstance(text, tuple) and not text[1] else text for text in texts]
    if not isinstance(tokenizer, TokenizersBackend):  # one that isn't made of Rust
        cut = {"truncation": max_length is not None, "max_length": max_length}
        return tokenizer(given, return_attention_mask=False, **cut)["input_ids"] if given else []
    backend = tokenizer.backend_tokenizer
    backend.no_padding()
    if max_length is None:
        backend.no_truncation()
    else:
        backend.enable_truncation(max_length, direction=tokenizer.truncation_side)
    try:
        return [encoding.ids for encoding in backend.encode_batch_fast(given)]
    finally:
        backend.no_truncation()  # or a saved tokenizer would go on cutting
