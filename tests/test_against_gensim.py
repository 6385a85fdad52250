"""What gensim reads from a file, this package reads too: every word, every bit of every vector.

The files are gensim's own test data, which its wheel brings along: text and binary files of the word2vec program,
models of fastText old and new, words in Cyrillic and in bytes that aren't UTF-8.
"""

import sys
import warnings
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from glove_bilstm import WordVectors, load_vectors
from glove_bilstm.vectors.errors import InputError

if sys.version_info >= (3, 14):
    pytest.skip("gensim has no wheel for Python 3.14", allow_module_level=True)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # gensim's own
    from gensim.models import KeyedVectors
    from gensim.models.fasttext import load_facebook_vectors

# It leaves a file open, too.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
DATA = Path(str(files("gensim"))) / "test" / "test_data"
UNSEEN = ["unseenword", "naïve", "日本語", "zz"]


def check(ours: WordVectors, theirs: KeyedVectors, but: tuple[str, ...] = ()) -> None:
    assert ours.words == theirs.index_to_key
    differing = [
        word for row, word in enumerate(ours.words) if not np.array_equal(ours.matrix[row], theirs.vectors[row])
    ]
    assert set(differing) <= set(but)


@pytest.mark.parametrize(
    ("name", "binary"),
    {
        "EN.1-10.cbow1_wind5_hs0_neg10_size300_smpl1e-05.txt": False,
        "crime-and-punishment.vec": False,
        "lee_fasttext.vec": False,
        "pang_lee_polarity_fasttext.vec": False,
        "toy-model.vec": False,
        "word2vec_pre_kv_c": False,
        "w2v_keyedvectors_load_test.modeldata": False,
        "high_precision.kv.txt": False,
        "high_precision.kv.bin": True,
        "euclidean_vectors.bin": True,
        "poincare_vectors.bin": True,
    }.items(),
)
def test_word2vec_files(name: str, binary: bool) -> None:
    theirs = KeyedVectors.load_word2vec_format(str(DATA / name), binary=binary, unicode_errors="backslashreplace")
    check(load_vectors(DATA / name, use_cache=False), theirs)


def test_a_glove_file() -> None:
    theirs = KeyedVectors.load_word2vec_format(str(DATA / "test_glove.txt"), no_header=True)
    check(load_vectors(DATA / "test_glove.txt", use_cache=False), theirs)


@pytest.mark.parametrize(
    ("name", "but"),
    {
        "lee_fasttext.bin": (),  # old
        "non_ascii_fasttext.bin": (),
        "toy-model.bin": (),
        "toy-model-pretrained.bin": (),
        # gensim gives the end-of-sentence mark n-grams, which fastText itself no longer does: see the next test.
        "lee_fasttext_new.bin": ("</s>",),
        "crime-and-punishment.bin": ("</s>",),
    }.items(),
)
def test_fasttext_models(name: str, but: tuple[str, ...]) -> None:
    theirs = load_facebook_vectors(str(DATA / name))
    ours = load_vectors(DATA / name, use_cache=False)
    check(ours, theirs, but)
    wanted = load_vectors(DATA / name, words=UNSEEN, use_cache=False)
    for word in set(UNSEEN) - set(theirs.index_to_key):
        assert np.array_equal(ours[word], theirs[word])
        assert np.array_equal(wanted[word], theirs[word])


@pytest.mark.parametrize("name", ["crime-and-punishment", "lee_fasttext", "toy-model", "pang_lee_polarity_fasttext"])
def test_a_fasttext_model_agrees_with_the_text_that_fasttext_wrote_of_it(name: str) -> None:
    """To the five digits that are written; the last is a supervised model, which gensim doesn't read at all."""
    model = load_vectors(DATA / f"{name}.bin", use_cache=False)
    text = load_vectors(DATA / f"{name}.vec", use_cache=False)
    assert text.words == [word for word in model.words if word in text]
    assert np.array([model[word] for word in text.words]) == pytest.approx(text.matrix, rel=1e-4, abs=1e-5)


def test_words_in_another_encoding() -> None:
    """gensim hashes its own spelling of what it can't decode; fastText, and this package, the bytes that are there."""
    theirs = load_facebook_vectors(str(DATA / "cp852_fasttext.bin"))
    ours = load_vectors(DATA / "cp852_fasttext.bin", use_cache=False)
    check(ours, theirs, but=tuple(word for word in ours.words if "\\x" in word))
    assert ours.report is not None and ours.report.undecodable == 69


def test_a_header_that_lies() -> None:
    ours = load_vectors(DATA / "pretrained.vec", use_cache=False)
    assert ours.words == ["dummy"] and "the header says 3 rows of 5 numbers, but there are 1" in str(ours.report)


@pytest.mark.parametrize("name", ["fasttext_old", "word2vec_pre_kv_py2", "lda_3_0_1_model", "ft_kv_3.6.0.model.gz"])
def test_pickles_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} is a pickle"):
        load_vectors(DATA / name)
