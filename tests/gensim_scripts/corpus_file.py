"""Train on a file by its name, the quick way, and export to word2vec's text."""

from gensim.models import KeyedVectors, Word2Vec

with open("corpus.txt", "w") as out:
    for number in range(400):
        out.write(f"one two three four {['five', 'six', 'seven'][number % 3]} eight\n")

model = Word2Vec(corpus_file="corpus.txt", vector_size=12, window=2, min_count=5, workers=2, hs=0, negative=8)
print(len(model.wv.key_to_index), model.vector_size, model.epochs)

model.wv.save_word2vec_format("vectors.txt", binary=False)
with open("vectors.txt") as lines:
    print("header", next(lines).split())

vectors = KeyedVectors.load_word2vec_format("vectors.txt", binary=False)
print(vectors.index_to_key == model.wv.index_to_key, abs(vectors["one"] - model.wv["one"]).max() < 1e-5)
