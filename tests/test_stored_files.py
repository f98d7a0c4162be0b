"""Files that others wrote, sound and damaged: all are read, or refused by name and place."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from pyembed.vectors import KeyedVectors, VectorFileError

FINALFUSION = Path(__file__).parents[2] / "shared" / "data" / "vectors" / "finalfusion-rust"
_gensim = importlib.util.find_spec("gensim")
GENSIM = Path(str(_gensim.origin)).parent / "test" / "test_data" if _gensim else Path("gensim is not installed")

DAMAGED = {
    # Ends early.
    GENSIM / "pretrained.vec": "line 3: expected 3 words, found the end of the file",
    # Words that are not UTF-8.
    GENSIM / "pang_lee_polarity_fasttext.vec": r"line 150: expected UTF-8, found b'\\x97'",
    GENSIM / "pang_lee_polarity_fasttext.bin": r"expected a word in UTF-8 in row 148, found b'\\x97'",
    FINALFUSION / "utf8-incomplete.bin": r"expected a word in UTF-8 at byte 26, row 1, found b'zee\\xbfn'",
    FINALFUSION / "utf8-incomplete.txt": r"line 2: expected UTF-8, found b'zee\\xc3n'",
    # A part of a file of finalfusion's, and fastText's format of before 2016, under the suffix of word2vec's.
    FINALFUSION / "quantized_storage.bin": "line 1: expected the number of words and of dimensions",
    GENSIM / "lee_fasttext.bin": "line 1: expected the number of words and of dimensions",
    GENSIM / "non_ascii_fasttext.bin": "line 1: expected the number of words and of dimensions",
    # Text, under the suffixes of vectors' files.
    GENSIM / "fb-ngrams.txt": "line 1: expected a word and 5 numbers, found 1 fields",
    GENSIM / "poincare_cp852.tsv": r"line 1: expected a number in dimension 0, found b't\\xa1mto'",
    GENSIM / "questions-words.txt": "line 1: expected a word and 3 numbers, found 2 fields",
    GENSIM / "similarities0-1.txt": "expected distinct words, found '0' in rows 1 and 2",
    GENSIM / "wordsim353.tsv": "line 1: expected 3 numbers, found 1 fields",
    # An array of one dimension.
    GENSIM / "fasttext_old_sep.syn0_lockf.npy": r"expected floats of shape \[V, D\], found <f4 of shape \[12\]",
}


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []


@pytest.mark.parametrize(("path", "message"), DAMAGED.items(), ids=lambda value: getattr(value, "name", None))
def test_damage_is_named_with_its_place(path, message):
    if not path.exists():
        pytest.skip(f"no {path}")
    with pytest.raises(VectorFileError, match=message) as raised:
        KeyedVectors.load(path)
    assert str(raised.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("path", "rows", "damaged"),
    [
        (GENSIM / "pang_lee_polarity_fasttext.vec", 1694, 5),
        (GENSIM / "pang_lee_polarity_fasttext.bin", 1694, 5),
        (FINALFUSION / "utf8-incomplete.bin", 3, 1),
        (FINALFUSION / "utf8-incomplete.txt", 3, 1),
    ],
    ids=lambda value: getattr(value, "name", None),
)
@pytest.mark.filterwarnings("ignore::pyembed.vectors.formats.VectorFileWarning")
def test_what_is_not_damaged_can_be_read_by_asking(path, rows, damaged):
    if not path.exists():
        pytest.skip(f"no {path}")
    assert len(KeyedVectors.load(path, errors="skip")) == rows - damaged
    repaired = KeyedVectors.load(path, errors="replace")
    assert sum("\ufffd" in word for word in repaired.index_to_key) == damaged


@pytest.mark.parametrize("folder", [GENSIM, FINALFUSION], ids=["gensim", "finalfusion"])
@pytest.mark.filterwarnings("ignore::pyembed.vectors.formats.VectorFileWarning")
def test_every_file_is_read_or_refused_by_name(folder):
    if not files_of(folder):
        pytest.skip(f"no {folder}")
    read, refused = set(), {}
    for path in files_of(folder):
        try:
            found = KeyedVectors.load(path)
        except (VectorFileError, FileNotFoundError) as error:  # no words in a file beside an .npy
            refused[path] = error
        else:
            read.add(path)
            assert len(found) == len(found.vectors) > 0
    assert len(read) >= 6, read
    assert not read & DAMAGED.keys()
    for path, error in refused.items():
        assert path.stem in str(error)
        assert isinstance(error, VectorFileError) or path.suffix == ".npy"
