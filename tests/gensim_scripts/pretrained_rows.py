"""Start from pretrained vectors where there are some, and keep them as they are."""

import numpy as np
from gensim.models import KeyedVectors, Word2Vec

pretrained = KeyedVectors(vector_size=6)
pretrained.add_vectors(["sun", "moon", "star"], np.eye(3, 6, dtype=np.float32))
pretrained.save_word2vec_format("pretrained.txt", binary=False)

sentences = [["sun", "and", "moon"], ["star", "and", "comet"]] * 60
model = Word2Vec(vector_size=6, min_count=1, workers=1, epochs=5, sample=0)
model.build_vocab(sentences)
model.wv.vectors_lockf = np.ones(len(model.wv), dtype=np.float32)
model.wv.intersect_word2vec_format("pretrained.txt", lockf=0.0, binary=False)
print("taken", [bool((model.wv[word] == pretrained[word]).all()) for word in ("sun", "moon", "star")])

untrained = model.wv["comet"].copy()
model.train(sentences, total_examples=model.corpus_count, epochs=model.epochs)
print("locked", [bool((model.wv[word] == pretrained[word]).all()) for word in ("sun", "moon", "star")])
print("others learn", bool((model.wv["comet"] != untrained).any()))

by_hand = Word2Vec(vector_size=6, min_count=1, sample=0)
by_hand.build_vocab(sentences)
for word in pretrained.index_to_key:
    if word in by_hand.wv:
        by_hand.wv.vectors[by_hand.wv.key_to_index[word]] = pretrained[word]
print("by hand", bool((by_hand.wv["moon"] == pretrained["moon"]).all()))
by_hand.train(sentences, total_examples=by_hand.corpus_count, epochs=2)
print("then trained", bool((by_hand.wv["moon"] != pretrained["moon"]).any()))
