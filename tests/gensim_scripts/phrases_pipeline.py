"""Join frequent pairs of words first, then train on the joined text."""

from gensim.models import Word2Vec
from gensim.models.phrases import ENGLISH_CONNECTOR_WORDS, Phrases

sentences = [
    "we flew to new york last week".split(),
    "new york is a large city".split(),
    "the bank of america is in new york".split(),
    "machine learning in the bank of america".split(),
    "machine learning is new".split(),
] * 20

phrases = Phrases(sentences, min_count=5, threshold=1, connector_words=ENGLISH_CONNECTOR_WORDS)
print("joined", phrases["we love new york and machine learning".split()])
bigram = phrases.freeze()
print("frozen", bigram["the bank of america".split()])
print("found", sorted(phrases.export_phrases()))

model = Word2Vec(bigram[sentences], vector_size=10, min_count=2, workers=1)
print("new_york" in model.wv, "machine_learning" in model.wv, len(model.wv))
