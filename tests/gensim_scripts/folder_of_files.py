"""Train on all files of a folder, and on one's own stream of sentences."""

import os

from gensim.models.word2vec import PathLineSentences, Word2Vec

os.makedirs("texts")
for number in range(3):
    with open(f"texts/part{number}.txt", "w") as out:
        out.write("some words of a text\n" * 30 + f"and the word part{number}\n" * 6)


class MySentences:
    def __init__(self, folder):
        self.folder = folder

    def __iter__(self):
        for name in sorted(os.listdir(self.folder)):
            for line in open(os.path.join(self.folder, name)):
                yield line.split()


model = Word2Vec(PathLineSentences("texts"), vector_size=7, min_count=5, workers=1, cbow_mean=0, sample=0)
print("files", len(PathLineSentences("texts").input_files), "sentences", model.corpus_count)
streamed = Word2Vec(MySentences("texts"), vector_size=7, min_count=5, workers=1, hs=1, negative=0)
print("same words", model.wv.index_to_key[:6] == streamed.wv.index_to_key[:6], len(streamed.wv))
limited = Word2Vec(MySentences("texts"), vector_size=7, max_final_vocab=6, min_count=1)
print("at most 6", len(limited.wv) <= 6)
