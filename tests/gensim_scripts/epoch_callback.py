"""Print the loss of each epoch, and save a checkpoint after each."""

import os

from gensim.models import Word2Vec
from gensim.models.callbacks import CallbackAny2Vec


class EpochLogger(CallbackAny2Vec):
    def __init__(self):
        self.epoch = 0
        self.last_loss = 0.0

    def on_train_begin(self, model):
        print("training begins")

    def on_epoch_begin(self, model):
        print(f"epoch {self.epoch} begins")

    def on_epoch_end(self, model):
        loss = model.get_latest_training_loss()
        print(f"epoch {self.epoch} ends, loss {float(loss - self.last_loss):.2f}, positive {loss > self.last_loss}")
        self.last_loss = loss
        self.epoch += 1

    def on_train_end(self, model):
        print("training ends")


class EpochSaver(CallbackAny2Vec):
    def __init__(self, prefix):
        self.prefix = prefix
        self.epoch = 0

    def on_epoch_end(self, model):
        model.save(f"{self.prefix}_epoch{self.epoch}.model")
        print("near", len(model.wv.most_similar("x", topn=2)))
        self.epoch += 1


sentences = [["x", "y", "z"], ["x", "z", "w"]] * 100
model = Word2Vec(
    sentences, vector_size=8, min_count=1, epochs=3, compute_loss=True, callbacks=[EpochLogger(), EpochSaver("check")]
)
print("files", sorted(name for name in os.listdir() if name.startswith("check")))
print("checkpoint", len(Word2Vec.load("check_epoch1.model").wv))
