"""Ask a trained model for the word in the middle, with both output layers."""

from gensim.models import Word2Vec

sentences = ["we eat warm soup with spoons".split(), "they drink cold milk from glasses".split()] * 100

model = Word2Vec(sentences, vector_size=12, min_count=1, negative=5, workers=1, epochs=5)
predicted = model.predict_output_word(["warm", "with"], topn=4)
print(len(predicted), [type(word).__name__ for word, _ in predicted])
print("ordered", all(one[1] >= other[1] for one, other in zip(predicted, predicted[1:])))
print("unknown", model.predict_output_word(["nothing"]))

tree = Word2Vec(sentences, vector_size=12, min_count=1, hs=1, negative=0, sg=1, workers=1, epochs=5)
scores = tree.score(sentences[:3], total_sentences=3)
print("scores", scores.shape, bool((scores < 0).all()))
try:
    tree.predict_output_word(["warm"])
except RuntimeError:
    print("no negatives, no prediction")
print("bytes", sorted(model.estimate_memory(vocab_size=1000)))
