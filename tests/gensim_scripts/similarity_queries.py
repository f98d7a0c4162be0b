"""The queries of vectors, one after another."""

import numpy as np
from gensim.models import KeyedVectors

rng = np.random.default_rng(11)
words = "apple pear plum cherry car bus train plane".split()
vectors = KeyedVectors(5)
vectors.add_vectors(words, rng.normal(size=(8, 5)).astype(np.float32))

print(
    [
        (word, round(float(score), 4))
        for word, score in vectors.most_similar(positive=["apple", "bus"], negative=["car"])
    ]
)
print([word for word, _ in vectors.most_similar_cosmul(positive=["apple", "bus"], negative=["car"], topn=3)])
print([word for word, _ in vectors.similar_by_vector(vectors["plum"], topn=3)])
print("odd one out", vectors.doesnt_match(["apple", "pear", "car"]))
print("distance", round(float(vectors.distance("apple", "pear")), 4), vectors.rank("apple", "pear"))
print("closer", vectors.closer_than("apple", "pear"))
print("sets", round(float(vectors.n_similarity(["apple", "pear"], ["car", "bus"])), 4))
print("to given", vectors.most_similar_to_given("car", ["bus", "apple", "plum"]))
vectors["kiwi"] = np.ones(5, dtype=np.float32)
print(len(vectors), "kiwi" in vectors, vectors.get_index("kiwi"))
try:
    vectors.most_similar("banana")
except KeyError:
    print("no banana")
