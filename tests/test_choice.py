"""Which profile is chosen for vectors, and what is said where none covers the text."""

import json
import logging
import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers import TINY, write_jsonl
from vector_files import glove_text, word2vec_binary, write

from glove_bilstm.scripts.main import main
from glove_bilstm.tokenization.choice import SAMPLE, choose_profile, likely_cause, sample, warn_of_low_coverage
from glove_bilstm.tokenization.vocabulary import count_words
from glove_bilstm.vectors.alignment import measure_coverage
from glove_bilstm.vectors.word_vectors import load_vectors

TEXTS = ["I don't like London's NASA museum!", "A well-made film, in London."]


def vectors_of(path: Path, words: str) -> Path:
    listed = list(dict.fromkeys(words.split(" ")))
    return write(path, glove_text(listed, np.random.default_rng(0).normal(size=(len(listed), 7))))


class TestChoice:
    @pytest.mark.parametrize(
        ("name", "profile"),
        {
            "glove.6B.50d.subset.txt": "glove",
            "glove.840B.300d.txt": "glove-cased",
            "GoogleNews-x.bin": "word2vec-google-news",
            "my-glove_twitter.27B.txt.gz": "glove-twitter",
        }.items(),
    )
    def test_names_that_are_known_tell(self, tmp_path: Path, name: str, profile: str) -> None:
        file = vectors_of(tmp_path / name, "nothing here")
        chosen, reason = choose_profile(TEXTS, file)
        assert chosen == profile and "it belongs to" in reason

    @pytest.mark.parametrize(
        ("words", "profile"),
        {
            "i do n't like london 's nasa museum ! a well-made film , in .": "glove",
            "I do n't like London 's NASA museum ! A well-made film , in .": "glove-cased",
            "I don't like London 's NASA museum ! A well made film , in .": "word2vec-google-news",
            "I don't like London's NASA museum! A well-made film, in London.": "whitespace",
        }.items(),
    )
    def test_otherwise_each_is_tried(self, tmp_path: Path, words: str, profile: str) -> None:
        chosen, reason = choose_profile(TEXTS, vectors_of(tmp_path / "v.txt", words))
        assert chosen == profile
        assert reason.startswith("tried on a sample of the texts") and f"{profile} 100.0%" in reason

    def test_sample_is_from_all_over(self) -> None:
        texts = [str(number) for number in range(2 * SAMPLE + 99)]
        chosen = sample(texts)
        assert len(chosen) == SAMPLE and chosen[:2] == ["0", "2"] and int(chosen[-1]) > 1.9 * SAMPLE
        assert sample(texts[:3]) == texts[:3]

    def test_a_word_that_one_kind_of_vectors_has_tells(self, tmp_path: Path) -> None:
        file = vectors_of(tmp_path / "v.txt", "i do n't like london 's nasa museum ! <user>")
        assert choose_profile(TEXTS, file) == ("glove-twitter", "the vectors have a word '<user>'")

    def test_punctuation_does_not_count(self, tmp_path: Path) -> None:
        """Or splitting at white space would look best for vectors without any, as it makes fewer words of it."""
        texts = ["One, two... three!! (four) five; six? seven: eight"] * 9 + [
            "one two three four five six seven eight"
        ]
        file = vectors_of(tmp_path / "v.txt", "one two three four five six seven eight")
        assert choose_profile(texts, file)[0] == "glove"

    def test_one_cased_word_does_not_make_cased_vectors(self, tmp_path: Path) -> None:
        words = "i do n't like london 's nasa museum ! a well-made film , in . " + " ".join(
            map("w{}".format, range(99))
        )
        assert choose_profile(TEXTS, vectors_of(tmp_path / "v.txt", f"{words} America"))[0] == "glove"


class TestLikelyCause:
    @pytest.mark.parametrize(
        ("words", "profile", "texts", "said"),
        [
            ("кот сидит на ковре", "glove", TEXTS, "in LATIN letters, the vectors' in CYRILLIC"),
            ("London NASA Museum Film", "glove", ["london nasa", "museum film"], "the case of letters: 100%"),
            (
                "i do n't like london 's nasa museum ! a well-made film , in .",
                "whitespace",
                TEXTS,
                "--profile glove does",
            ),
            (
                "like london nasa museum film in",
                "glove",
                ["7 8 9 ! ? 1.5 %", "( ) like"],
                "hold digits or punctuation",
            ),
            ("quark boson lepton", "glove", TEXTS, "the language or the subject"),
            ("the film was good", "glove", ["123 456 789 the film was good"] * 9 + ["слово"], "hold digits"),
            ("映画 見", "glove", ["とても良い映画でした"], "HIRAGANA text isn't divided into words by spaces"),
            (
                "the film was good",
                "glove",
                ["とても良い映画でした"],
                "the text is in HIRAGANA characters, the vectors in LATIN",
            ),
        ],
    )
    def test_causes(self, tmp_path: Path, words: str, profile: str, texts: list[str], said: str) -> None:
        file = vectors_of(tmp_path / "v.txt", words)
        counts = count_words(texts, profile)
        # Without the spellings of a profile, which would find words in another case.
        vectors = load_vectors(file, profile="glove")
        assert said in likely_cause(texts, file, profile, measure_coverage(counts, vectors, counts))

    def test_what_vectors_lack_by_design_is_said(self, tmp_path: Path) -> None:
        texts = ["The film, of a kind, and to the point."]
        file = vectors_of(tmp_path / "v.txt", "The film kind the point")
        for profile, said in (
            ("word2vec-google-news", "of the other tokens 100.0% have one"),
            ("glove-cased", "Most"),
        ):
            counts = count_words(texts, profile)
            vectors = load_vectors(file, profile=profile)
            warning = warn_of_low_coverage(texts, file, profile, measure_coverage(counts, vectors, counts))
            assert warning is not None and warning.startswith("Only 41.7%") and said in warning

    def test_no_words_at_all(self, tmp_path: Path) -> None:
        file = vectors_of(tmp_path / "v.txt", "film")
        vectors = load_vectors(file)
        assert (
            warn_of_low_coverage([" "], file, "glove", measure_coverage([], vectors, {})) == "The texts hold no words."
        )


class TestTraining:
    def test_a_binary_file_that_lacks_most_words(self, tmp_path: Path, dataset_folder: Path) -> None:
        matrix = np.random.default_rng(0).normal(size=(2, 7)).astype("f4")
        file = write(tmp_path / "GoogleNews.bin", word2vec_binary(["film", "good"], matrix))
        arguments = ["--dataset", dataset_folder, "--vectors", file, "--output_dir", tmp_path / "out", *TINY]
        assert main(["train", *map(str, arguments)]) == 0

    def test_low_coverage_warns_and_names_the_cause(
        self, tmp_path: Path, dataset_folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        file = vectors_of(tmp_path / "v.txt", "the film good")
        arguments = ["--dataset", dataset_folder, "--vectors", file, "--output_dir", tmp_path / "out", *TINY]
        assert main(["train", *map(str, arguments)]) == 0
        (warning,) = [
            record for record in caplog.records if record.levelno == logging.WARNING and "glove" in record.name
        ]
        assert warning.message.startswith("Only ") and "of the tokens have a vector. Most likely" in warning.message

    def test_no_cache_keeps_nothing(
        self, tmp_path: Path, dataset_folder: Path, vectors_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from huggingface_hub import constants

        monkeypatch.setattr(constants, "HF_HOME", str(tmp_path))
        rows = write_jsonl(tmp_path / "data" / "train.jsonl", [{"text": "A good film", "label": 1}])
        options = ["--dataset", str(rows.parent), "--vectors", str(vectors_file)]
        assert main(["coverage", *options, "--no_cache"]) == 0
        assert not (tmp_path / "glove_bilstm").exists()
        training = ["--dataset", str(dataset_folder), "--vectors", str(vectors_file), "--no-cache"]
        assert main(["train", *training, "--output_dir", str(tmp_path / "out"), *TINY]) == 0
        assert not (tmp_path / "glove_bilstm").exists()
        assert main(["coverage", *options]) == 0
        assert list((tmp_path / "glove_bilstm" / "cache").glob("*.safetensors"))

    def test_a_named_set_leaves_its_name_profile_and_licence(
        self, tmp_path: Path, dataset_folder: Path, vectors_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from huggingface_hub import constants

        monkeypatch.setattr(constants, "HF_HOME", str(tmp_path))
        by_hand = tmp_path / "glove_bilstm" / "vectors"
        by_hand.mkdir(parents=True)
        with zipfile.ZipFile(by_hand / "glove.6B.zip", "w") as archive:
            archive.writestr("glove.6B.50d.txt", "unlike 1 2\n")
            archive.writestr("glove.6B.100d.txt", vectors_file.read_bytes())
        out = tmp_path / "out"
        training = ["--dataset", str(dataset_folder), "--vectors", "glove.6B.100d", "--output_dir", str(out), *TINY]
        assert main(["train", *training]) == 0
        provenance = json.loads((out / "config.json").read_text())["word_vectors"]
        assert (provenance["name"], provenance["profile"]) == ("glove.6B.100d", "glove")
        assert provenance["licence"] == "PDDL-1.0" and provenance["dim"] == 7
        card = (out / "README.md").read_text()
        assert "glove.6B.100d, 7 dimensions" in card and "Their licence: PDDL-1.0." in card
        assert card.index("## Citation") < card.index("@inproceedings{pennington2014glove,")
