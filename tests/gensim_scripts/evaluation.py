"""Score vectors on judged pairs of words and on analogies."""

import numpy as np
from gensim.models import KeyedVectors

words = ["man", "woman", "king", "queen", "boy", "girl", "paris", "france", "rome", "italy"]
rng = np.random.default_rng(5)
vectors = KeyedVectors(8)
vectors.add_vectors(words, rng.normal(size=(10, 8)).astype(np.float32))

with open("pairs.tsv", "w") as out:
    out.write("# word1\tword2\tscore\n")
    for number, (one, other) in enumerate(zip(words, words[1:])):
        out.write(f"{one}\t{other}\t{number * 1.5}\n")
    out.write("man\tunicorn\t3.0\n")
with open("analogies.txt", "w") as out:
    out.write(": family\nman king woman queen\nboy man girl woman\n: capital\nfrance paris italy rome\n")
    out.write("france paris spain madrid\n")

pearson, spearman, unknown = vectors.evaluate_word_pairs("pairs.tsv")
print("pearson", f"{float(pearson[0]):.4f}", "spearman", f"{float(spearman[0]):.4f}", "unknown %", f"{unknown:.1f}")
score, sections = vectors.evaluate_word_analogies("analogies.txt")
print("score", f"{score:.3f}")
for section in sections:
    print(section["section"], len(section["correct"]), len(section["incorrect"]))
