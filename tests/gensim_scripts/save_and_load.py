"""Keep the model to train on, and the vectors alone to look at."""

from gensim.models import KeyedVectors, Word2Vec

sentences = [["red", "green", "blue"], ["blue", "yellow", "red"]] * 40
model = Word2Vec(sentences, vector_size=9, min_count=1, workers=1, comment="colours")
model.save("colours.model")
word_vectors = model.wv
word_vectors.save("colours.wordvectors")
del model

loaded = Word2Vec.load("colours.model")
print(loaded, loaded.comment, loaded.epochs, loaded.window)
print("equal", bool((loaded.wv.vectors == word_vectors.vectors).all()))

vectors = KeyedVectors.load("colours.wordvectors", mmap="r")
print(type(vectors).__name__, vectors["red"].shape, vectors.index_to_key)
print("equal", bool((vectors["red"] == word_vectors["red"]).all()), vectors.get_vecattr("red", "count"))

vectors.save_word2vec_format("colours.bin", binary=True)
again = KeyedVectors.load_word2vec_format("colours.bin", binary=True, limit=2)
print(len(again), again.vector_size)
