"""Words added to a model after its training."""

import copy
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import run
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForSequenceClassification, AutoTokenizer, TokenizersBackend, pipeline

from glove_bilstm import (
    GloveBiLSTMConfig,
    GloveBiLSTMForSequenceClassification,
    GloveBiLSTMModel,
    WordVectors,
    build_tokenizer,
    embedding_matrix,
    extend_vocabulary,
)
from glove_bilstm.modeling.modeling_glove_bilstm import GloveBiLSTMPreTrainedModel
from glove_bilstm.training.linear_map import fit_map
from glove_bilstm.vectors.errors import InputError

DIM = 5
OLD = ["the", "film", "was", "good", "bad", "n't", ",", "zzyzx", "plot", "mr.", "it", "7"]
"""The words that the model was trained with; "zzyzx" has no vector."""
NEW = ["superb", "awful", "dull", "don", "café", "dr.", "2010"]
"""Words that have a vector, and that the model doesn't know."""
OLD_TEXTS = ["The film wasn't bad, it was good", "plot plot zzyzx", "qqqq the xxxx", "7", "", "mr. bad"]
NEW_TEXTS = ["The film was awful, awful; café!", "superb plot in 2010", "vvvv awful superb the"]


def make_vectors(words: Iterable[str], dim: int = DIM, seed: int = 3) -> WordVectors:
    words = list(words)
    rows = np.random.default_rng(seed).normal(0.3, 0.5, size=(len(words), dim)).astype(np.float32)
    return WordVectors(words, rows, "glove")


VECTORS = make_vectors([*(word for word in OLD if word != "zzyzx"), *NEW, "<unk>"])


def make(
    words: Iterable[str] = OLD, vectors: WordVectors = VECTORS, profile: str = "glove", **changes: Any
) -> tuple[GloveBiLSTMForSequenceClassification, TokenizersBackend]:
    """An untrained model with these vectors, and its tokenizer."""
    torch.manual_seed(0)
    matrix, coverage = embedding_matrix(words, vectors)
    config = GloveBiLSTMConfig(
        **{
            "vocab_size": len(matrix),
            "embedding_dim": vectors.dim,
            "hidden_size": 6,
            "num_labels": 3,
            "word_vectors": {"name": "tiny.5d", "dim": vectors.dim, "rows": coverage.types_found},
            **changes,
        }
    )
    model = GloveBiLSTMForSequenceClassification(config).eval()
    model.set_word_vectors(torch.from_numpy(matrix))
    return model, build_tokenizer(words, profile)


def weight(model: GloveBiLSTMPreTrainedModel) -> torch.Tensor:
    return model.get_input_embeddings().weight.detach().clone()


def logits(model: Any, tokenizer: TokenizersBackend, texts: list[str]) -> torch.Tensor:
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        return model(**batch)[0]


def fine_tune(model: GloveBiLSTMPreTrainedModel, change: Any, rows: slice = slice(2, None)) -> None:
    """Move rows of the embedding as training does, by a function of the rows as float64 ``[n, D]``."""
    model.set_frozen(False)
    table = model.get_input_embeddings().weight.data
    table[rows] = torch.from_numpy(change(table[rows].double().numpy())).to(table)


def state(model: GloveBiLSTMPreTrainedModel, tokenizer: TokenizersBackend) -> tuple[Any, ...]:
    """Everything that an extension changes."""
    values = {name: value.tolist() for name, value in model.state_dict().items()}
    return values, model.config.to_dict(), tokenizer.backend_tokenizer.to_str()


class TestFrozen:
    def test_words(self) -> None:
        model, tokenizer = make()
        before, old_logits = weight(model), logits(model, tokenizer, OLD_TEXTS)
        done = extend_vocabulary(
            model,
            tokenizer,
            VECTORS,
            words=["awful", "Superb", "hm", "good", "New York", "hmpf", "awful", "<unk>", " ", "dr.", "Hmpf", " "],
        )
        assert done.added == ["awful", "superb", "dr."]
        assert (done.known, done.missing, done.unreachable) == (2, [("hmpf", 2), ("hm", 1)], ["New York", " "])
        assert (done.exact, done.mapped, done.map_error, done.identity_error) == (True, False, None, None)
        assert str(done) == (
            "added 3 of 7 new words (2 without a vector, 2 not one word to the tokenizer); 15 words now"
        )
        after = weight(model)
        assert torch.equal(after[: len(before)], before) and not after[0].any()
        assert torch.equal(after[len(before) :], torch.from_numpy(np.stack([VECTORS[word] for word in done.added])))
        assert torch.equal(logits(model, tokenizer, OLD_TEXTS), old_logits)

    def test_texts_are_counted_as_the_tokenizer_splits_them(self) -> None:
        model, tokenizer = make()
        done = extend_vocabulary(model, tokenizer, VECTORS, texts=(text for text in NEW_TEXTS))
        assert done.added == ["awful", "superb", "2010", "café"]  # 3, 2, 1, 1
        assert done.missing == [("!", 1), (";", 1), ("in", 1), ("vvvv", 1)] and done.unreachable == []
        assert done.known == len({"the", "film", "was", ",", "plot"})
        assert tokenizer("Awful café superb 2010 vvvv").input_ids == [14, 17, 15, 16, 1]

    def test_new_words_are_understood_as_if_they_had_been_there(self) -> None:
        """The extended model is the one that would have been made with all the words, but for the row of <unk>."""
        model, tokenizer = make()
        done = extend_vocabulary(model, tokenizer, VECTORS, texts=NEW_TEXTS)
        whole, whole_tokenizer = make([*OLD, *done.added])
        whole.load_state_dict(model.state_dict())
        assert whole_tokenizer.get_vocab() == tokenizer.get_vocab()
        assert torch.equal(weight(whole)[14:], torch.from_numpy(np.stack([VECTORS[word] for word in done.added])))
        assert torch.equal(logits(whole, whole_tokenizer, NEW_TEXTS), logits(model, tokenizer, NEW_TEXTS))

    @settings(max_examples=30, deadline=None)
    @given(
        texts=st.lists(st.lists(st.sampled_from([*OLD, "unheard-of", "<pad>", "The"])).map(" ".join), min_size=1),
        words=st.lists(st.sampled_from([*NEW, *OLD, "hmpf", "<unk>", "don't", "", "DULL", "dr. no"])),
        fine_tuned=st.booleans(),
    )
    def test_logits_of_old_words_never_change(self, texts: list[str], words: list[str], fine_tuned: bool) -> None:
        model, tokenizer = make()
        if fine_tuned:
            fine_tune(model, lambda rows: 1.1 * rows[:, ::-1] * [0, 0, 0, 1, 0] + rows)
        before = tokenizer(texts).input_ids, logits(model, tokenizer, texts)
        done = extend_vocabulary(model, tokenizer, VECTORS, words=words)
        assert done.exact is not fine_tuned
        assert tokenizer(texts).input_ids == before[0]
        assert torch.equal(logits(model, tokenizer, texts), before[1])

    def test_twice(self) -> None:
        model, tokenizer = make()
        extend_vocabulary(model, tokenizer, VECTORS, words=["dull"])
        again = extend_vocabulary(model, tokenizer, VECTORS, words=["awful", "dull"])
        assert again.added == ["awful"] and again.known == 1 and again.total == len(OLD) + 2
        nothing = extend_vocabulary(model, tokenizer, VECTORS, words=[])
        assert nothing.added == [] and str(nothing) == "added 0 of 0 new words; 14 words now"
        assert torch.equal(weight(model)[14:], torch.from_numpy(np.stack([VECTORS["dull"], VECTORS["awful"]])))

    def test_spellings_that_the_vectors_fall_back_to(self) -> None:
        model, tokenizer = make()
        done = extend_vocabulary(model, tokenizer, VECTORS, words=["2010s"])
        assert done.added == ["2010s"] and tokenizer("2010s").input_ids == [14]
        assert torch.equal(weight(model)[14], torch.from_numpy(VECTORS["2010"]))

    def test_other_spellings_of_known_words_say_nothing_about_the_vectors(self) -> None:
        """These vectors hold "10" and not the model's "10th", which was found as it is in training."""
        numbers = [str(number) for number in range(10, 20)]
        vectors = make_vectors([*OLD, *numbers])
        own = WordVectors(
            [*vectors.words, *(f"{number}th" for number in numbers)],
            np.concatenate([vectors.matrix, 1.2 * vectors.matrix[len(OLD) :]]),
            "glove",
        )
        model, tokenizer = make([*OLD, *(f"{number}th" for number in numbers)], own)
        assert extend_vocabulary(model, tokenizer, vectors, words=numbers).added == numbers

    @pytest.mark.parametrize(
        ("profile", "given", "added"),
        [
            ("glove", ["Superb", "<number>", "12", "Mr.x"], ["superb"]),
            ("glove-cased", ["Superb", "superb"], ["Superb", "superb"]),
            ("glove-twitter", ["12", "superb", "#dull"], ["<number>", "superb"]),
            ("word2vec-google-news", ["12", "x-ray", "superb"], ["##", "superb"]),
            ("whitespace", ["café.", "superb", "New York"], ["café.", "superb"]),
        ],
    )
    def test_every_profile(self, profile: str, given: list[str], added: list[str], tmp_path: Path) -> None:
        vectors = make_vectors([*OLD, *NEW, "Superb", "<number>", "##", "café.", "x-ray", "New York", "#dull"])
        model, tokenizer = make(vectors=vectors, profile=profile)
        tokenizer.save_pretrained(tmp_path)
        for one in (tokenizer, AutoTokenizer.from_pretrained(tmp_path)):
            fresh = copy.deepcopy(model)
            done = extend_vocabulary(fresh, one, vectors, words=given)
            assert done.added == added
            # Every one of them is reached from a text.
            assert set(range(14, 14 + len(added))) <= set(one(" ".join([*given, "x"])).input_ids)

    def test_words_are_looked_for_as_the_models_own_were(self) -> None:
        """Whatever profile the name of the vectors tells, or doesn't."""
        vectors = make_vectors([*OLD, "TV"])
        model, tokenizer = make(vectors=vectors, profile="word2vec-google-news")
        model.config.word_vectors = {"profile": "word2vec-google-news"}
        done = extend_vocabulary(model, tokenizer, vectors.with_profile("whitespace"), words=["tv"])
        assert done.added == ["tv"] and done.missing == []


class TestMoreVectorsThanInTraining:
    """As after `load_vectors(limit=…)`: known words that have a vector only now have a row that was drawn."""

    WORDS = [f"w{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(130)]
    ALL = make_vectors([*WORDS, "dull", "awful"], 25)

    def make(self) -> tuple[GloveBiLSTMForSequenceClassification, TokenizersBackend]:
        return make(
            self.WORDS,
            WordVectors(
                self.WORDS[::2] + self.WORDS[1:61:2], self.ALL.matrix[[*range(0, 130, 2), *range(1, 61, 2)]], "glove"
            ),
        )

    def test_frozen(self) -> None:
        model, tokenizer = self.make()
        before = weight(model)
        assert extend_vocabulary(model, tokenizer, self.ALL, words=["dull"]).exact
        assert torch.equal(weight(model), torch.cat([before, torch.from_numpy(self.ALL["dull"])[None]]))

    def test_fine_tuned(self) -> None:
        model, tokenizer = self.make()
        fine_tune(model, lambda rows: 0.9 * rows + 0.3 * rows[:, ::-1] + 0.1)
        done = extend_vocabulary(model, tokenizer, self.ALL, words=["dull", "awful"])
        expected = 0.9 * self.ALL.matrix[130:] + 0.3 * self.ALL.matrix[130:, ::-1] + 0.1
        assert done.mapped and done.map_error < 0.01
        assert np.abs(weight(model)[132:].numpy() - expected).max() < 0.01


class TestFineTuned:
    WORDS = [f"w{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(300)]
    OTHERS = [f"x{word}" for word in WORDS]
    DIM = 7

    @pytest.fixture
    def vectors(self) -> WordVectors:
        return make_vectors([*self.WORDS, *self.OTHERS], self.DIM)

    @pytest.fixture
    def relation(self) -> tuple[np.ndarray, np.ndarray]:
        """Where training takes a row: ``row @ matrix + bias``."""
        generator = np.random.default_rng(5)
        matrix = np.eye(self.DIM) + generator.normal(0, 0.2, (self.DIM, self.DIM))
        return matrix, generator.normal(0, 0.3, self.DIM)

    def noise(self, rows: np.ndarray, scale: float) -> np.ndarray:
        return np.random.default_rng(11).normal(0, scale, rows.shape)

    def test_a_linear_relation_is_found(self, vectors: WordVectors, relation: tuple[np.ndarray, np.ndarray]) -> None:
        matrix, bias = relation
        model, tokenizer = make(self.WORDS, vectors)
        fine_tune(model, lambda rows: rows @ matrix + bias + self.noise(rows, 0.01))
        before, random_state = weight(model), torch.get_rng_state()
        done = extend_vocabulary(model, tokenizer, vectors, words=self.OTHERS)
        assert torch.equal(torch.get_rng_state(), random_state)
        after = weight(model)
        assert torch.equal(after[: len(before)], before) and not after[0].any()
        originals = np.stack([vectors[word] for word in self.OTHERS])
        assert np.abs(after[len(before) :].numpy() - (originals @ matrix + bias)).max() < 0.01
        # The errors are of held-out rows, by the rows' length: that of the noise, and that of the whole movement.
        rows = before[2:].numpy()
        length = np.linalg.norm(rows)
        moved = np.linalg.norm(rows - np.stack([vectors[word] for word in self.WORDS])) / length
        assert not done.exact and done.mapped
        assert done.identity_error == pytest.approx(moved, rel=1e-5)
        expected = 0.01 * np.sqrt(rows.size) / length
        assert expected < done.map_error < 1.1 * expected
        assert f"(error {done.map_error:.4f}, {done.identity_error:.4f} unmapped)" in str(done)

    def test_the_same_twice(self, vectors: WordVectors, relation: tuple[np.ndarray, np.ndarray]) -> None:
        results = []
        for _ in range(2):
            model, tokenizer = make(self.WORDS, vectors)
            fine_tune(model, lambda rows: rows @ relation[0] + self.noise(rows, 0.3))
            results.append((extend_vocabulary(model, tokenizer, vectors, words=self.OTHERS), weight(model).tolist()))
        assert results[0] == results[1]

    @pytest.mark.parametrize("decay", [1.0, 0.9])
    def test_rows_that_no_text_moved_do_not_drag_the_map(
        self, decay: float, vectors: WordVectors, relation: tuple[np.ndarray, np.ndarray]
    ) -> None:
        """A third of the words was met in training; the others stayed, or were shortened by weight decay."""
        matrix, bias = relation
        model, tokenizer = make(self.WORDS, vectors)
        fine_tune(model, lambda rows: rows @ matrix + bias + self.noise(rows, 0.01), slice(2, 102))
        fine_tune(model, lambda rows: decay * rows, slice(102, None))
        done = extend_vocabulary(model, tokenizer, vectors, words=self.OTHERS)
        originals = np.stack([vectors[word] for word in self.OTHERS])
        assert done.mapped and done.map_error < 0.03
        assert np.abs(weight(model)[302:].numpy() - (originals @ matrix + bias)).max() < 0.02

    def test_mapped_rows_are_no_evidence_for_the_next_map(
        self, vectors: WordVectors, relation: tuple[np.ndarray, np.ndarray], tmp_path: Path
    ) -> None:
        model, tokenizer = make(self.WORDS, vectors)
        fine_tune(model, lambda rows: rows @ relation[0] + self.noise(rows, 0.1))
        first = extend_vocabulary(model, tokenizer, vectors, words=self.OTHERS[:200])
        model.save_pretrained(tmp_path)
        model = GloveBiLSTMForSequenceClassification.from_pretrained(tmp_path)
        second = extend_vocabulary(model, tokenizer, vectors, words=self.OTHERS)
        assert second.added == self.OTHERS[200:] and second.total == 600
        assert first.mapped and (second.map_error, second.identity_error) == (first.map_error, first.identity_error)
        whole, its_tokenizer = make(self.WORDS, vectors)
        fine_tune(whole, lambda rows: rows @ relation[0] + self.noise(rows, 0.1))
        extend_vocabulary(whole, its_tokenizer, vectors, words=self.OTHERS)
        assert torch.allclose(weight(model), weight(whole), rtol=0, atol=1e-6)

    def test_vectors_as_they_are_where_no_map_is_better(self, vectors: WordVectors) -> None:
        model, tokenizer = make(self.WORDS, vectors)
        fine_tune(model, lambda rows: rows + self.noise(rows, 0.2))
        done = extend_vocabulary(model, tokenizer, vectors, words=self.OTHERS[:3])
        assert not done.exact and not done.mapped
        assert done.map_error is not None and done.identity_error is not None
        assert 0.2 < done.identity_error <= done.map_error < 1.05 * done.identity_error
        assert torch.equal(weight(model)[302:], torch.from_numpy(np.stack([vectors[w] for w in self.OTHERS[:3]])))
        assert str(done).endswith(f"though training moved the others (error {done.identity_error:.3f})")
        nothing = extend_vocabulary(model, tokenizer, vectors, words=["hmpf"])
        assert str(nothing) == "added 0 of 1 new words (1 without a vector); 303 words now"

    def test_too_few_moved_rows_for_a_map(self, vectors: WordVectors) -> None:
        model, tokenizer = make(self.WORDS, vectors)
        fine_tune(model, lambda rows: rows[:, ::-1].copy(), slice(2, 13))
        done = extend_vocabulary(model, tokenizer, vectors, words=self.OTHERS[:1])
        assert (done.exact, done.map_error, done.mapped) == (False, None, False)
        assert done.identity_error is not None and done.identity_error > 0.2
        assert torch.equal(weight(model)[302], torch.from_numpy(vectors[self.OTHERS[0]]))

    def test_an_unfrozen_embedding_that_never_moved_is_exact(self, vectors: WordVectors) -> None:
        model, tokenizer = make(self.WORDS, vectors, freeze_embeddings=False)
        done = extend_vocabulary(model, tokenizer, vectors, words=self.OTHERS[:1])
        assert (done.exact, done.map_error, done.identity_error) == (True, None, None)
        assert torch.equal(weight(model)[302], torch.from_numpy(vectors[self.OTHERS[0]]))
        assert model.get_input_embeddings().weight.requires_grad

    def test_it_can_be_trained_on(self, vectors: WordVectors) -> None:
        model, tokenizer = make(self.WORDS, vectors, freeze_embeddings=False)
        batch = tokenizer([f"{self.WORDS[0]} {self.OTHERS[0]}"], return_tensors="pt")
        model(**batch, labels=torch.tensor([1])).loss.backward()
        extend_vocabulary(model, tokenizer, vectors, words=self.OTHERS[:2])
        batch = tokenizer([f"{self.WORDS[0]} {self.OTHERS[0]}"], return_tensors="pt")
        model(**batch, labels=torch.tensor([1])).loss.backward()
        gradient = model.get_input_embeddings().weight.grad
        assert gradient is not None and gradient.shape == (304, self.DIM)
        assert gradient[[2, 302]].any(dim=1).all() and not gradient[[0, 303]].any()


class TestTokenizer:
    def test_everything_it_says_about_itself(self) -> None:
        model, tokenizer = make()
        extend_vocabulary(model, tokenizer, VECTORS, words=NEW)
        assert len(tokenizer) == tokenizer.vocab_size == 21
        tokens = ["<pad>", "<unk>", *OLD, *NEW]
        assert tokenizer.get_vocab() == {token: position for position, token in enumerate(tokens)}
        assert tokenizer.convert_tokens_to_ids([*NEW, "hmpf"]) == [*range(14, 21), 1]
        assert tokenizer.convert_ids_to_tokens(list(range(21))) == tokens
        assert (tokenizer.pad_token_id, tokenizer.unk_token_id) == (0, 1)
        assert set(tokenizer.get_added_vocab()) == {"<pad>", "<unk>"}

    def test_new_words_are_not_cut_out_of_others(self) -> None:
        """As added tokens would be: "don" out of "donkey"."""
        model, tokenizer = make()
        extend_vocabulary(model, tokenizer, VECTORS, words=NEW)
        assert tokenizer.tokenize("Donkey don good-dull dull") == ["<unk>", "don", "<unk>", "dull"]

    def test_saved_and_loaded(self, tmp_path: Path) -> None:
        model, tokenizer = make()
        extend_vocabulary(model, tokenizer, VECTORS, words=NEW[:3])
        tokenizer.save_pretrained(tmp_path / "one")
        loaded = AutoTokenizer.from_pretrained(tmp_path / "one")
        extend_vocabulary(model, loaded, VECTORS, words=NEW[3:])
        loaded.save_pretrained(tmp_path / "two")
        for folder in ("one", "two"):  # a name that transformers 4 knows, too
            saved = json.loads((tmp_path / folder / "tokenizer_config.json").read_text())
            assert saved["tokenizer_class"] == "PreTrainedTokenizerFast"
        again = AutoTokenizer.from_pretrained(tmp_path / "two")
        for one in (loaded, again, copy.deepcopy(again)):
            assert one.convert_tokens_to_ids(NEW) == list(range(14, 21)) and len(one) == one.vocab_size == 21
            assert one(NEW_TEXTS, padding=True).input_ids == loaded(NEW_TEXTS, padding=True).input_ids

    def test_tokens_may_be_added_afterwards_but_not_before(self) -> None:
        model, tokenizer = make()
        extend_vocabulary(model, tokenizer, VECTORS, words=NEW[:1])
        tokenizer.add_tokens(["[brand]"])
        assert tokenizer("superb [brand] good").input_ids == [14, 15, 5]
        before = state(model, tokenizer)
        with pytest.raises(InputError, match=r"added behind its words \(\[brand\]\).*Extend the vocabulary first"):
            extend_vocabulary(model, tokenizer, VECTORS, words=NEW)
        assert state(model, tokenizer) == before


class TestModel:
    @pytest.mark.parametrize("frozen", [True, False])
    @pytest.mark.parametrize("training", [True, False])
    def test_what_stays(self, frozen: bool, training: bool) -> None:
        model, tokenizer = make(freeze_embeddings=frozen)
        model.train(training)
        others = {name: value.clone() for name, value in model.state_dict().items() if "embeddings" not in name}
        module, unknown = model.get_input_embeddings(), weight(model)[1]
        extend_vocabulary(model, tokenizer, VECTORS, words=NEW)
        assert model.get_input_embeddings() is module and module.padding_idx == 0
        assert module.num_embeddings == len(module.weight) == model.config.vocab_size == 21
        assert module.weight.requires_grad is not frozen and model.config.freeze_embeddings is frozen
        assert model.training is module.training is training
        assert model.config.word_vectors == {"name": "tiny.5d", "dim": 5, "rows": len(OLD) - 1 + len(NEW)}
        assert torch.equal(module.weight[1], unknown)
        assert all(torch.equal(model.state_dict()[name], value) for name, value in others.items())

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    @pytest.mark.parametrize("frozen", [True, False])
    def test_half_precision(self, dtype: torch.dtype, frozen: bool) -> None:
        model, tokenizer = make(freeze_embeddings=frozen)
        model.to(dtype)
        before = weight(model), logits(model, tokenizer, OLD_TEXTS)
        done = extend_vocabulary(model, tokenizer, VECTORS, words=NEW)
        assert done.exact and weight(model).dtype == dtype
        expected = torch.from_numpy(np.stack([VECTORS[word] for word in NEW])).to(dtype)
        assert torch.equal(weight(model), torch.cat([before[0], expected]))
        assert torch.equal(logits(model, tokenizer, OLD_TEXTS), before[1])

    def test_the_base_model(self) -> None:
        whole, tokenizer = make()
        model = GloveBiLSTMModel(copy.deepcopy(whole.config)).eval()
        model.load_state_dict(whole.glove_bilstm.state_dict())
        before = logits(model, tokenizer, OLD_TEXTS)
        extend_vocabulary(model, tokenizer, VECTORS, words=NEW)
        assert len(weight(model)) == model.config.vocab_size == 21
        assert torch.equal(logits(model, tokenizer, OLD_TEXTS), before)
        assert logits(model, tokenizer, NEW_TEXTS).any()

    def test_without_provenance(self) -> None:
        model, tokenizer = make(word_vectors=None)
        assert extend_vocabulary(model, tokenizer, VECTORS, words=NEW).added == NEW
        assert model.config.word_vectors is None

    def test_an_embedding_with_rows_to_spare(self) -> None:
        """As `resize_token_embeddings(pad_to_multiple_of=16)` makes it: they are used first."""
        model, tokenizer = make()
        model.resize_token_embeddings(pad_to_multiple_of=16, mean_resizing=False)
        before = weight(model)
        extend_vocabulary(model, tokenizer, VECTORS, words=NEW[:1])
        assert torch.equal(weight(model)[:14], before[:14]) and torch.equal(weight(model)[15], before[15])
        extend_vocabulary(model, tokenizer, VECTORS, words=NEW)
        assert len(weight(model)) == model.config.vocab_size == len(tokenizer) == 21
        assert torch.equal(weight(model)[14:], torch.from_numpy(np.stack([VECTORS[word] for word in NEW])))


class TestRoundTrip:
    CODE = """
import json, sys
import torch
import glove_bilstm
from transformers import AutoModelForSequenceClassification, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForSequenceClassification.from_pretrained(sys.argv[1])
batches = [tokenizer(texts, padding=True, return_tensors="pt") for texts in json.loads(sys.argv[2])]
with torch.no_grad():  # with gradients some processors round otherwise
    print(json.dumps([model(**batch).logits.tolist() for batch in batches]))
"""

    @pytest.mark.slow
    @pytest.mark.parametrize("frozen", [True, False])
    def test_saved_and_loaded(self, frozen: bool, tmp_path: Path) -> None:
        model, tokenizer = make()
        if not frozen:
            fine_tune(model, lambda rows: rows + 0.2 * rows[:, ::-1])
        old = logits(model, tokenizer, OLD_TEXTS)
        extend_vocabulary(model, tokenizer, VECTORS, texts=NEW_TEXTS)
        new = logits(model, tokenizer, NEW_TEXTS)
        model.save_pretrained(tmp_path)
        tokenizer.save_pretrained(tmp_path)

        loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
        its_tokenizer = AutoTokenizer.from_pretrained(tmp_path)
        assert torch.equal(logits(loaded, its_tokenizer, OLD_TEXTS), old)
        assert torch.equal(logits(loaded, its_tokenizer, NEW_TEXTS), new)
        assert loaded.get_input_embeddings().weight.requires_grad is not frozen
        # What was loaded can be extended again.
        assert extend_vocabulary(loaded, its_tokenizer, VECTORS, words=NEW).exact is frozen
        assert torch.equal(logits(loaded, its_tokenizer, OLD_TEXTS), old)

        done = run(sys.executable, "-W", "error", "-c", self.CODE, tmp_path, json.dumps([OLD_TEXTS, NEW_TEXTS]))
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.splitlines()[-1]) == [old.tolist(), new.tolist()]

    def test_a_pipeline_sees_the_new_words(self) -> None:
        model, tokenizer = make()
        classify = pipeline("text-classification", model=model, tokenizer=tokenizer, top_k=None)
        texts = ["superb", "awful", "the film"]
        before = classify(texts)
        assert before[0] == before[1]  # both unknown
        extend_vocabulary(model, tokenizer, VECTORS, words=NEW)
        after = classify(texts)
        assert after[0] != after[1] and after[2] == before[2]


class TestRefused:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({}, "either words or texts"),
            ({"words": ["dull"], "texts": ["dull"]}, "either words or texts"),
            ({"words": "dull"}, "'dull' is one string"),
            ({"texts": "dull"}, "'dull' is one string"),
        ],
    )
    def test_arguments(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            extend_vocabulary(*make(), VECTORS, **arguments)

    @pytest.mark.parametrize("frozen", [True, False])
    @pytest.mark.parametrize(
        ("vectors", "message"),
        [
            (make_vectors(VECTORS.words, 6), "have 6 numbers, the model's rows 5. .* made from, tiny.5d"),
            (make_vectors(VECTORS.words, seed=4), "Of 11 words .* only . have a row .* made from, tiny.5d"),
            (make_vectors(NEW), r"have 0 of the model's words.*load_vectors\(name, words="),
        ],
        ids=["dimension", "others", "too few"],
    )
    def test_other_vectors(self, vectors: WordVectors, message: str, frozen: bool) -> None:
        model, tokenizer = make()
        model.set_frozen(frozen)
        before = state(model, tokenizer)
        with pytest.raises(InputError, match=message):
            extend_vocabulary(model, tokenizer, vectors, words=NEW)
        assert state(model, tokenizer) == before

    def test_the_advice_names_the_models_profile(self) -> None:
        """Loaded with another, the vectors would lack spellings that the words are looked for under."""
        model, tokenizer = make(word_vectors={"profile": "glove-cased"})
        with pytest.raises(InputError, match=r"words=\[\*tokenizer.*, \*words\], profile='glove-cased'\)\."):
            extend_vocabulary(model, tokenizer, make_vectors(NEW), words=NEW)

    def test_fine_tuned_and_then_frozen(self) -> None:
        model, tokenizer = make()
        fine_tune(model, lambda rows: rows + 0.2 * rows[:, ::-1])
        model.set_frozen(True)
        with pytest.raises(InputError, match=r"11 of 11 rows differ from these vectors.*set_frozen\(False\) first"):
            extend_vocabulary(model, tokenizer, VECTORS, words=NEW)
        model.set_frozen(False)
        assert not extend_vocabulary(model, tokenizer, VECTORS, words=NEW).exact

    def test_a_tokenizer_of_another_model(self) -> None:
        model, _ = make()
        tokenizer = build_tokenizer([*OLD, *NEW])
        with pytest.raises(InputError, match="knows 21 words and the model has 14 rows"):
            extend_vocabulary(model, tokenizer, VECTORS, words=["hmpf"])

    def test_a_tokenizer_without_words(self) -> None:
        from tokenizers import Tokenizer
        from tokenizers.models import WordPiece

        backend = Tokenizer(WordPiece({"<pad>": 0, "<unk>": 1, "the": 2}, unk_token="<unk>"))
        tokenizer = TokenizersBackend(tokenizer_object=backend, pad_token="<pad>", unk_token="<unk>")
        with pytest.raises(InputError, match="one id for each word"):
            extend_vocabulary(make()[0], tokenizer, VECTORS, words=NEW)

    @pytest.mark.parametrize("part", ["normalizer", "pre_tokenizer"])
    def test_a_tokenizer_that_lacks_a_part(self, part: str) -> None:
        model, tokenizer = make()
        setattr(tokenizer.backend_tokenizer, part, None)
        with pytest.raises(InputError, match="as build_tokenizer makes it"):
            extend_vocabulary(model, tokenizer, VECTORS, words=NEW)

    def test_an_error_on_the_way_leaves_everything_as_it_was(self) -> None:
        model, tokenizer = make()
        before = state(model, tokenizer)

        def texts() -> Iterable[str]:
            yield "superb"
            raise OSError("the disk is gone")

        with pytest.raises(OSError, match="the disk is gone"):
            extend_vocabulary(model, tokenizer, VECTORS, texts=texts())
        with pytest.raises(TypeError):
            extend_vocabulary(model, tokenizer, VECTORS, words=["superb", None])  # type: ignore[list-item]
        assert state(model, tokenizer) == before


class TestMap:
    """Of `fit_map`: what cross-validation chooses is what the map is fitted with."""

    def test_noise_is_not_learned(self) -> None:
        generator = np.random.default_rng(0)
        original, noise = generator.normal(size=(2, 30, 20)).astype("f4")
        fitted = fit_map(original, original + noise / 10)
        assert np.abs(fitted.matrix).max() < 1e-3

    def test_a_linear_move_is(self) -> None:
        generator = np.random.default_rng(0)
        original, matrix = generator.normal(size=(99, 7)), generator.normal(size=(7, 7))
        fitted = fit_map(original.astype("f4"), (original + original @ matrix + 3).astype("f4"))
        assert np.allclose(fitted.matrix, matrix, atol=1e-3) and np.allclose(fitted.bias, 3, atol=1e-3)
        assert fitted.error is not None and fitted.error < 1e-3 < fitted.identity_error
