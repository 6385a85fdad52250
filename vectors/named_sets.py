"""The published sets of word vectors that can be asked for by name.

Sizes and SHA-256 are of the file that is fetched. Stanford's copies on the Hub are other archives than those on its
own server, with other checksums; the Hub's are those of its LFS pointers at the commit named. Where nobody publishes a
checksum there is none here, and the archive's own (CRC-32 of every member) is checked instead.
"""

from dataclasses import dataclass

from glove_bilstm.vectors import papers

GLOVE_REPO, GLOVE_COMMIT = "stanfordnlp/glove", "1db2080b2d94def6e5b0386a523102f9d8849e9d"
STANFORD = "https://nlp.stanford.edu/data/wordvecs/"
FASTTEXT = "https://dl.fbaipublicfiles.com/fasttext/vectors-english/"
GENSIM_DATA = "https://github.com/piskvorky/gensim-data/releases/download/word2vec-google-news-300/"
PDDL, CC_BY_SA = "PDDL-1.0", "CC-BY-SA-3.0"


@dataclass(frozen=True)
class Archive:
    """A file that is fetched; it holds one set of vectors, or one for each dimension.

    Attributes:
        file: Its name.
        megabytes: Its size, about.
        profile: The tokenization profile that splits text as the vectors' own text was split.
        licence: Of the vectors, as their publisher states it.
        paper: What to cite for them, as BibTeX.
        checksum: "sha256:…" or "md5:…". None: nobody publishes one.
        size: In bytes. None: nobody states it exactly.
        url: Where it comes from. None: from the Hub's repository `GLOVE_REPO`.
    """

    file: str
    megabytes: int
    profile: str
    licence: str
    paper: str
    checksum: str | None = None
    size: int | None = None
    url: str | None = None


@dataclass(frozen=True)
class NamedSet:
    """One set of vectors inside an archive.

    Attributes:
        archive: The file that is fetched.
        member: Which of the archive's files: a dimension such as ``"100d"``. None: the only one.
    """

    archive: Archive
    member: str | None = None


def _hub(file: str, megabytes: int, profile: str, sha256: str, size: int) -> Archive:
    return Archive(file, megabytes, profile, PDDL, papers.GLOVE, f"sha256:{sha256}", size)


def _glove_2024(name: str, megabytes: int, sha256: str | None = None, size: int | None = None) -> NamedSet:
    file = f"glove.2024.{name}.zip"
    return NamedSet(Archive(file, megabytes, "glove", PDDL, papers.GLOVE_2024, sha256, size, STANFORD + file))


_6B = _hub(
    "glove.6B.zip", 862, "glove", "6471382cdd837544bf3ac72497a38715e845897d265b2b424b4761832009c837", 862_182_753
)
_42B = _hub(
    "glove.42B.300d.zip", 1878, "glove",
    "357baac33090f645e71e253b3295ee1b767c98a0336e9a1d99c77e9e33b43c4a", 1_877_802_108,
)  # fmt: skip
_840B = _hub(
    "glove.840B.300d.zip", 2177, "glove-cased",
    "f47355dd5b267bd10f08671e513790690233c76a9ffd73aa915d78f894a8912e", 2_176_768_976,
)  # fmt: skip
_TWITTER = _hub(
    "glove.twitter.27B.zip", 1520, "glove-twitter",
    "3123e7f5c3f6a30095d413b12fc3284bbf717acd2a9bed63d1c7c13bf5223352", 1_520_408_741,
)  # fmt: skip
_GOOGLE_NEWS = Archive(
    "word2vec-google-news-300.gz", 1744, "word2vec-google-news", "not stated", papers.WORD2VEC,
    "md5:a5e5354d40acb95f9ec66d5977d140ef", 1_743_563_840, GENSIM_DATA + "word2vec-google-news-300.gz",
)  # fmt: skip
_WIKI_NEWS = Archive(
    "wiki-news-300d-1M.vec.zip", 682, "glove-cased", CC_BY_SA, papers.FASTTEXT,
    "sha256:bdeb85f44892c505953e3654183e9cb0d792ee51be0992460593e27198d746f8", 681_808_098,
    FASTTEXT + "wiki-news-300d-1M.vec.zip",
)  # fmt: skip
_CRAWL = Archive(
    "crawl-300d-2M.vec.zip", 1524, "glove-cased", CC_BY_SA, papers.FASTTEXT,
    "sha256:5bfffffbabdab299d4c9165c47275e8f982807a6eaca37ee1f71d3a79ddb544d", 1_523_785_255,
    FASTTEXT + "crawl-300d-2M.vec.zip",
)  # fmt: skip

NAMED_SETS: dict[str, NamedSet] = {
    **{f"glove.6B.{dim}d": NamedSet(_6B, f"{dim}d") for dim in (50, 100, 200, 300)},
    "glove.42B.300d": NamedSet(_42B),
    "glove.840B.300d": NamedSet(_840B),
    **{f"glove.twitter.27B.{dim}d": NamedSet(_TWITTER, f"{dim}d") for dim in (25, 50, 100, 200)},
    "glove.2024.wikigiga.50d": _glove_2024(
        "wikigiga.50d", 301, "sha256:afa5e258ee38272db6394547c4b075ecbb7b2164e98542c8d1237b6029b35a65", 301_036_094
    ),
    "glove.2024.wikigiga.100d": _glove_2024("wikigiga.100d", 560),
    "glove.2024.wikigiga.200d": _glove_2024("wikigiga.200d", 1100),
    "glove.2024.wikigiga.300d": _glove_2024("wikigiga.300d", 1600),
    "glove.2024.dolma.300d": _glove_2024("dolma.300d", 1600),
    "word2vec-google-news-300": NamedSet(_GOOGLE_NEWS),
    "fasttext-wiki-news-300d-1M": NamedSet(_WIKI_NEWS),
    "fasttext-crawl-300d-2M": NamedSet(_CRAWL),
}
