"""Train on a compressed file, one sentence a line."""

import gzip

from gensim.models.word2vec import LineSentence, Word2Vec

with gzip.open("corpus.txt.gz", "wt", encoding="utf-8") as out:
    for number in range(300):
        out.write(f"the {'cat dog'.split()[number % 2]} sat on the mat number{number % 7}\n")
        out.write("a bird flew over the house and the café\n")

sentences = LineSentence("corpus.txt.gz")
print("first", next(iter(sentences)))
print("sentences", sum(1 for _ in sentences))
print("a few", len(list(LineSentence("corpus.txt.gz", limit=3))))

model = Word2Vec(sentences, vector_size=16, sg=1, negative=5, sample=1e-2, min_count=2, workers=2, epochs=3)
print("vocabulary", len(model.wv), model.corpus_count)
print("café" in model.wv, "house" in model.wv, "horse" in model.wv)
print("cat and dog", float(model.wv.similarity("cat", "dog")))
