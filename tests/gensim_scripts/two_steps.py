"""Build the vocabulary first, train second, with a rule of one's own for words."""

from gensim.models import Word2Vec
from gensim.utils import RULE_DEFAULT, RULE_DISCARD, RULE_KEEP


class Corpus:
    def __iter__(self):
        for number in range(200):
            yield f"w{number % 5} w{number % 3} common words here".split()
        yield "rare gem".split()


def rule(word, count, min_count):
    if word == "gem":
        return RULE_KEEP
    return RULE_DISCARD if word == "here" else RULE_DEFAULT


corpus = Corpus()
model = Word2Vec(vector_size=10, min_count=3, workers=1, seed=3)
model.build_vocab(corpus, progress_per=100, trim_rule=rule)
print("vocabulary", len(model.wv), "gem" in model.wv, "here" in model.wv, "rare" in model.wv)
print("examples", model.corpus_count, "words", model.corpus_total_words)
trained, raw = model.train(corpus, total_examples=model.corpus_count, epochs=4)
print("raw words", raw, trained <= raw)

counted = Word2Vec(vector_size=10, min_count=1)
counted.build_vocab_from_freq({"a": 10, "b": 7, "c": 1})
print("from counts", counted.wv.index_to_key, [counted.wv.get_vecattr(word, "count") for word in "abc"])
