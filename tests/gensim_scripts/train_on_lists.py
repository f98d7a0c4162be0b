"""Train on lists of words and look at neighbors."""

from gensim.models import Word2Vec

sentences = [
    ["human", "interface", "computer"],
    ["survey", "user", "computer", "system", "response", "time"],
    ["eps", "user", "interface", "system"],
    ["system", "human", "system", "eps"],
    ["user", "response", "time"],
    ["trees"],
    ["graph", "trees"],
    ["graph", "minors", "trees"],
    ["graph", "minors", "survey"],
] * 20

model = Word2Vec(sentences=sentences, vector_size=20, window=5, min_count=1, workers=4, seed=7)
print(model)
print("vector", model.wv["computer"].shape, model.wv["computer"].dtype)
print("words", sorted(model.wv.index_to_key))
print("most frequent", model.wv.index_to_key[0], model.wv.get_vecattr("system", "count"))
for word, similarity in model.wv.most_similar("graph", topn=4):
    print("near graph:", repr(word), f"{similarity:.3f}")
print("corpus", model.corpus_count, model.corpus_total_words)
