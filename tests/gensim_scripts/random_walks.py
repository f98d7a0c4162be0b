"""node2vec's second half: embed the nodes of a graph from random walks over it."""

import random

from gensim.models import Word2Vec

random.seed(0)
edges = [(i, (i + 1) % 8) for i in range(8)] + [(8 + i, 8 + (i + 1) % 8) for i in range(8)] + [(0, 8)]
neighbors = {node: [] for node in range(16)}
for one, other in edges:
    neighbors[one].append(other)
    neighbors[other].append(one)


def walk(start, length):
    path = [start]
    while len(path) < length:
        path.append(random.choice(neighbors[path[-1]]))
    return [str(node) for node in path]


walks = [walk(node, 20) for _ in range(12) for node in neighbors]
model = Word2Vec(walks, vector_size=16, window=4, min_count=0, sg=1, workers=1, epochs=3, negative=5)
print("nodes", len(model.wv), model.wv.vectors.shape)
embedding = {node: model.wv[str(node)] for node in neighbors}
print(len(embedding), embedding[3].shape)
print("around 4:", [len(name) > 0 for name, _ in model.wv.most_similar("4", topn=2)])
