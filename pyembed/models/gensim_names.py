"""gensim's names that a Word2Vec does not have, each with what to use instead."""

from __future__ import annotations

_OF_VECTORS = (
    "distance",
    "doesnt_match",
    "evaluate_word_analogies",
    "evaluate_word_pairs",
    "intersect_word2vec_format",
    "load_word2vec_format",
    "most_similar",
    "most_similar_cosmul",
    "n_similarity",
    "save_word2vec_format",
    "similar_by_vector",
    "similar_by_word",
    "similarity",
    "wmdistance",
)
"""Methods that the models of gensim 3 and before had too."""

_RENAMED = {
    "accuracy": "wv.evaluate_word_analogies",
    "docvecs": "wv, the vectors of words",
    "index2word": "wv.index_to_key",
    "iter": "epochs",
    "size": "vector_size",
    "syn0": "wv.vectors",
    "syn0norm": "wv.get_normed_vectors()",
    "syn0_lockf": "wv.vectors_lockf",
    "vector_lockf": "wv.vectors_lockf",
    "vectors_lockf": "wv.vectors_lockf",
    "vocab": "wv.key_to_index, and wv.get_vecattr(word, 'count')",
}
"""Names of gensim 3 and before, with those of today."""

_REFUSED = {
    "add_lifecycle_event": "events are not recorded; comment holds words of your own",
    "add_null_word": "no word stands for nothing; contexts at the ends of sentences are left out",
    "create_binary_tree": "training makes Huffman's tree of the counts by itself",
    "cum_table": "negatives are drawn from an alias table that training makes of the counts by itself",
    "init_sims": "lengths are taken when they are needed; wv.unit_normalize_all() makes all vectors of length 1",
    "lifecycle_events": "events are not recorded; report tells of the last training",
    "make_cum_table": "negatives are drawn from an alias table that training makes of the counts by itself",
    "prepare_vocab": "build_vocab and build_vocab_from_freq choose the words",
    "prepare_weights": "build_vocab makes the vectors; init_weights makes all of them untrained again",
    "random": "there is no generator with a state: each draw is a function of the seed and its place in the corpus",
    "scan_vocab": "build_vocab(keep_raw_vocab=True) counts, and keeps all counts as raw_vocab",
    "seeded_vector": "vectors start from the seed and their row, not from a hash of the word",
    "update_weights": "build_vocab(update=True) makes the vectors of new words",
}
"""Names of gensim 4, with the reason and the alternative."""

_AFTER_VOCABULARY = ("tables", "syn1", "syn1neg")


def explain(name: str) -> str:
    """What to say where an attribute is missing."""
    if name in _OF_VECTORS:
        return f"Word2Vec has no attribute {name!r}, as in gensim since version 4; use wv.{name}"
    if name in _RENAMED:
        return f"Word2Vec has no attribute {name!r}, as in gensim since version 4; use {_RENAMED[name]}"
    if name in _REFUSED:
        return f"Word2Vec has no attribute {name!r}: {_REFUSED[name]}"
    if name in _AFTER_VOCABULARY:
        return f"Word2Vec has no {name!r} before there is a vocabulary; call build_vocab or fit"
    if name == "report":
        return "Word2Vec has no 'report' before it was trained; call fit or train"
    return f"'Word2Vec' object has no attribute {name!r}"
