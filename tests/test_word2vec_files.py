"""Saving a Word2Vec and going on with it: nothing is lost, in callbacks and on the command line too."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np
import pytest

from pyembed import CallbackAny2Vec, KeyedVectors, Word2Vec
from pyembed.cli import main
from pyembed.config import Backend
from pyembed.models import model_files
from pyembed.models.model_files import read_model, write_model
from pyembed.models.settings import COUNTERS, SETTINGS
from pyembed.ops import MachineError
from pyembed.vectors import VectorFileError

OLD = [list("abcdefg"), list("gfebb"), ["ab", "c", "a"]] * 20
NEW = [list("abxyz"), list("zzyxq")] * 20


def model_of(**settings: Any) -> Word2Vec:
    return Word2Vec(OLD, **{"vector_size": 10, "min_count": 1, "epochs": 2, "workers": 1, "sample": 0, **settings})


def same(one: Word2Vec, other: Word2Vec) -> None:
    for table, twin in zip(one.tables.padded, other.tables.padded, strict=True):
        assert table.dtype == twin.dtype
        np.testing.assert_array_equal(table.float().numpy(), twin.float().numpy())
    np.testing.assert_array_equal(one.wv.vectors, other.wv.vectors)
    assert one.wv.index_to_key == other.wv.index_to_key
    assert one.wv.key_to_index == other.wv.key_to_index
    np.testing.assert_array_equal(one.wv.counts, other.wv.counts)
    unlike = {"total_train_time"}
    for name in {*SETTINGS, *COUNTERS, "effective_min_count"} - unlike:
        assert getattr(one, name) == getattr(other, name), name


@pytest.mark.parametrize(
    "settings",
    [
        {"sg": 1},
        {"sg": 0, "hs": 1},
        {"sg": 1, "hs": 1, "negative": 0, "comment": "näive"},
        {"table_dtype": "bfloat16", "shrink_windows": False, "negatives_from": "pair"},
        {"sg": 1, "negatives_from": "batch", "pool": 3, "pool_negatives": 4},
    ],
    ids=str,
)
def test_a_loaded_model_goes_on_as_if_it_had_not_been_away(settings, tmp_path):
    stays = model_of(**settings)
    stays.save(tmp_path / "word2vec.model")
    goes = Word2Vec.load(tmp_path / "word2vec.model")
    same(stays, goes)
    assert stays.total_train_time == goes.total_train_time
    for model in (stays, goes):
        model.train(OLD, epochs=2)
    same(stays, goes)
    for model in (stays, goes):
        model.build_vocab(NEW, update=True)
        model.train(NEW, epochs=1)
    same(stays, goes)


def test_a_model_of_before_windows_trained_together_goes_on(tmp_path, monkeypatch):
    """Its file knows no pool_negatives."""
    model = model_of(negatives_from="window")
    monkeypatch.setattr(model_files, "SETTINGS", tuple(name for name in SETTINGS if name != "pool_negatives"))
    model.save(tmp_path / "m")
    loaded = Word2Vec.load(tmp_path / "m")
    same(model, loaded)
    loaded.train(OLD, epochs=1)


def test_every_backend_goes_on(backend: Backend, tmp_path):
    model = model_of(backend=backend)
    model.save(str(tmp_path / "m"))
    model.train(OLD, epochs=1)
    loaded = Word2Vec.load(str(tmp_path / "m"))
    loaded.train(OLD, epochs=1)
    same(model, loaded)


def test_a_checkpoint_of_a_callback_is_the_model_at_that_time(tmp_path):
    class Saver(CallbackAny2Vec):
        def on_epoch_end(self, model: Word2Vec) -> None:
            model.save(tmp_path / f"{model.epochs_trained}.model")

    rates = {"alpha": 0.02, "min_alpha": 0.02}
    whole = model_of(epochs=3, callbacks=[Saver()], **rates)
    rest = Word2Vec.load(tmp_path / "1.model")
    assert rest.epochs_trained == 1
    rest.train(OLD, epochs=2)
    np.testing.assert_array_equal(rest.wv.vectors, whole.wv.vectors)
    np.testing.assert_array_equal(Word2Vec.load(tmp_path / "3.model").wv.vectors, whole.wv.vectors)


def test_changed_vectors_lock_factors_and_further_values_are_kept(tmp_path):
    model = model_of()
    model.wv.vectors[2] = 7
    model.wv.vectors_lockf = np.linspace(0, 1, len(model.wv))
    model.wv.set_vecattr("a", "tag", "first")
    model.save(tmp_path / "m")
    loaded = Word2Vec.load(tmp_path / "m")
    assert (loaded.wv.vectors[2] == 7).all()
    np.testing.assert_array_equal(loaded.wv.vectors_lockf, model.wv.vectors_lockf)
    assert loaded.wv.get_vecattr("a", "tag") == "first"
    locked = loaded.wv.vectors[0].copy()
    loaded.train(OLD)
    np.testing.assert_array_equal(loaded.wv.vectors[0], locked)


def test_one_lock_factor_for_all_words_is_kept(tmp_path):
    model = model_of()
    model.wv.vectors_lockf = [0.0]
    model.save(tmp_path / "m")
    loaded = Word2Vec.load(tmp_path / "m")
    loaded.train(OLD)
    np.testing.assert_array_equal(loaded.wv.vectors, model.wv.vectors)


def test_settings_may_be_given_instead_of_those_saved(tmp_path):
    model_of().save(tmp_path / "m")
    assert Word2Vec.load(tmp_path / "m", workers=2, epochs=9).epochs == 9
    assert Word2Vec.load(tmp_path / "m", mmap="r").workers == 1
    with pytest.raises(TypeError, match="no option 'worker'; did you mean 'workers'"):
        Word2Vec.load(tmp_path / "m", worker=2)


def test_a_model_without_a_vocabulary_is_saved_too(tmp_path):
    Word2Vec(window=3).save(tmp_path / "m")
    loaded = Word2Vec.load(tmp_path / "m")
    assert (loaded.window, len(loaded.wv)) == (3, 0)
    loaded.build_vocab([["a"] * 9])
    assert len(loaded.wv) == 1


def test_a_model_that_could_not_be_loaded_is_not_saved(tmp_path):
    model = model_of()
    model.save(tmp_path / "m")
    before = (tmp_path / "m").read_bytes()
    model.vector_size = 11
    with pytest.raises(ValueError, match="vector_size: expected what the tables were made for"):
        model.save(tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == before


def test_gensims_arguments_of_save_are_taken_or_refused_with_a_reason(tmp_path):
    model = model_of()
    model.save(tmp_path / "m", separately=["syn1neg"], sep_limit=10, ignore=frozenset(), pickle_protocol=4)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    with pytest.raises(ValueError, match=r"ignore: .* found \['syn1neg'\]; model\.wv\.save"):
        model.save(tmp_path / "m", ignore=["syn1neg"])


def test_models_of_gensim_are_named_and_the_way_out_works(tmp_path):
    gensim = pytest.importorskip("gensim.models", reason="gensim is not installed")
    theirs = gensim.Word2Vec(OLD, vector_size=6, min_count=1, epochs=1)
    theirs.save(str(tmp_path / "old.model"))
    for load in (Word2Vec.load, KeyedVectors.load):
        with pytest.raises(VectorFileError, match=r"old\.model: found a pickle.*save_word2vec_format"):
            load(tmp_path / "old.model")
    gensim.Word2Vec.load(str(tmp_path / "old.model")).wv.save_word2vec_format(str(tmp_path / "v.bin"), binary=True)
    np.testing.assert_array_equal(KeyedVectors.load(tmp_path / "v.bin").vectors, theirs.wv.vectors)


def test_settings_of_a_damaged_file_are_named(tmp_path):
    model_of().save(tmp_path / "m")
    content = (tmp_path / "m").read_bytes()
    (tmp_path / "m").write_bytes(content.replace(b'\\"epochs_trained\\"', b'\\"apochs_trained\\"'))
    with pytest.raises(VectorFileError, match="counters: expected epochs_trained"):
        Word2Vec.load(tmp_path / "m")
    (tmp_path / "m").write_bytes(content.replace(b'\\"vector_size\\":10', b'\\"vector_size\\":11'))
    with pytest.raises(VectorFileError, match="in_vectors: expected what the settings call for"):
        Word2Vec.load(tmp_path / "m")


def test_a_damaged_vector_size_takes_no_memory(tmp_path):
    model = Word2Vec(vector_size=1, min_count=1)
    model.build_vocab_from_freq({str(number): 1 for number in range(5_000)})
    model.save(tmp_path / "m")
    saved = read_model(tmp_path / "m")
    write_model(replace(saved, settings={**saved.settings, "vector_size": 65_536}), tmp_path / "m")
    with (
        mock.patch("pyembed.models.state.new_tables", side_effect=AssertionError("took 2.6 GB")),
        pytest.raises(VectorFileError, match="expected what the settings call for, vector_size 65536, found 1"),
    ):
        Word2Vec.load(tmp_path / "m")


def test_a_counter_that_is_no_number_is_named(tmp_path):
    model_of().save(tmp_path / "m")
    saved = read_model(tmp_path / "m")
    write_model(replace(saved, counters={**saved.counters, "epochs_trained": "2"}), tmp_path / "m")
    with pytest.raises(VectorFileError, match="counters: epochs_trained: expected a number, found '2'"):
        Word2Vec.load(tmp_path / "m")


def test_a_device_that_is_not_there_is_told_by_load_and_build_vocab(tmp_path):
    model_of().save(tmp_path / "m")
    with pytest.raises(MachineError, match="device 'cuda:99'"):
        Word2Vec.load(fname=tmp_path / "m", device="cuda:99")
    with pytest.raises(MachineError, match="device 'cuda:99'"):
        Word2Vec(device="cuda:99", min_count=1).build_vocab(OLD)


def test_commands_find_the_vectors_in_a_model(tmp_path, capsys):
    model = model_of()
    model.save(tmp_path / "word2vec.model")
    assert main(["neighbors", str(tmp_path / "word2vec.model"), "a", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) > 0
    assert main(["info", str(tmp_path / "word2vec.model")]) == 0
    assert str(len(model.wv)) in capsys.readouterr().out
    assert main(["convert", str(tmp_path / "word2vec.model"), str(tmp_path / "v.txt")]) == 0
    converted = KeyedVectors.load(tmp_path / "v.txt")
    assert converted.index_to_key == model.wv.index_to_key
    np.testing.assert_array_equal(converted.vectors, model.wv.vectors)
