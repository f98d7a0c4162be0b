"""gensim's names that are not here, each with what to use instead."""

from __future__ import annotations

_GENSIM_3 = {
    "accuracy": "evaluate_word_analogies",
    "get_keras_embedding": "to_embedding(), a torch.nn.Embedding",
    "index2entity": "index_to_key",
    "index2word": "index_to_key",
    "syn0": "vectors",
    "syn0norm": "get_normed_vectors()",
    "vectors_norm": "get_normed_vectors()",
    "vocab": "key_to_index, index_to_key and get_vecattr(word, 'count')",
    "wv": "the KeyedVectors themselves",
}
"""Names of gensim 3 and before, with the names that they have today."""

_REFUSED = {
    "add_lifecycle_event": "events are not recorded; metadata holds strings of your own",
    "allocate_vecattrs": "attributes grow by themselves; set_vecattr or add_vectors(extras=...) makes them",
    "log_accuracy": "scores are returned, not logged; print what evaluate_word_analogies returns",
    "log_evaluate_word_pairs": "scores are returned, not logged; print what evaluate_word_pairs returns",
    "mapfile_path": "gensim has no use for it either; load(path, mmap=True) leaves vectors in their file",
    "next_index": "no rows stand empty; the next word's row is len(vectors)",
    "resize_vectors": "rows of random numbers are made by training alone; add_vectors makes rows",
    "similarity_unseen_docs": "it is a method of Doc2Vec; n_similarity compares lists of words",
}
"""Names of gensim 4, with the reason and the alternative."""


def explain(name: str) -> str:
    """What to say where an attribute is missing."""
    if name in _GENSIM_3:
        return f"KeyedVectors has no attribute {name!r}, as in gensim since version 4; use {_GENSIM_3[name]}"
    if name in _REFUSED:
        return f"KeyedVectors has no attribute {name!r}: {_REFUSED[name]}"
    return f"'KeyedVectors' object has no attribute {name!r}"
