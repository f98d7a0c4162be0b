"""Save a model, load it, add the words of new text and train on."""

from gensim.models import Word2Vec

old = [["cat", "say", "meow"], ["dog", "say", "woof"]] * 50
new = [["cow", "say", "moo"], ["cat", "chase", "mouse"]] * 50

model = Word2Vec(old, vector_size=15, min_count=1, workers=1)
model.save("word2vec.model")

model = Word2Vec.load("word2vec.model")
print("loaded", len(model.wv), model.wv.index_to_key)
before = model.wv["dog"].copy()
model.build_vocab(new, update=True)
print("after update", len(model.wv), "cow" in model.wv, "mouse" in model.wv)
print("old vectors stay", (model.wv["dog"] == before).all())
model.train(new, total_examples=model.corpus_count, epochs=model.epochs)
print("seen again", (model.wv["say"] != before).any(), model.wv["moo"].shape)
print("neighbors", len(model.wv.most_similar("moo", topn=3)))
