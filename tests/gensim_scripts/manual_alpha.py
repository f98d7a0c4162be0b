"""Set the learning rate by hand, epoch by epoch, as old tutorials do."""

import random

from gensim.models import Word2Vec

sentences = [[f"item{(start + step) % 12}" for step in range(6)] for start in range(120)]

model = Word2Vec(vector_size=10, alpha=0.025, min_alpha=0.025, min_count=1, workers=1, window=3, sg=1)
model.build_vocab(sentences)
for epoch in range(5):
    random.shuffle(sentences)
    model.train(sentences, total_examples=model.corpus_count, epochs=1)
    model.alpha -= 0.002
    model.min_alpha = model.alpha
    print("epoch", epoch, "alpha", f"{model.alpha:.3f}")
print(model.train_count, len(model.wv))
model.train(sentences, total_examples=len(sentences), epochs=2, start_alpha=0.01, end_alpha=0.001)
print("last rate", f"{model.min_alpha_yet_reached:.4f}")
