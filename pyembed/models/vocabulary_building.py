"""Building a model's vocabulary: from text or from counts, anew or added to the one there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pyembed.corpus import Vocabulary
from pyembed.corpus.words import DistinctWords, WordChoice
from pyembed.models.settings import corpus_config, require_known, training_config
from pyembed.models.state import ModelState
from pyembed.models.text_source import Files, Sentences, TextSource
from pyembed.models.vocabularies import TrimRule, VocabularyRules, require_counts


class VocabularyModel(ModelState):
    """A model whose vocabulary is chosen, by its settings, from the words that a text holds.

    trim_rule: (word, count, min_count) -> RULE_DEFAULT, RULE_DISCARD or RULE_KEEP; see `vocabularies`.
    """

    trim_rule: TrimRule | None

    def build_vocab(
        self,
        corpus_iterable: Sentences | None = None,
        corpus_file: Files | None = None,
        update: bool = False,
        progress_per: int = 10000,  # noqa: ARG002
        keep_raw_vocab: bool = False,
        trim_rule: TrimRule | None = None,
        *,
        min_count: int | None = None,
        sample: float | None = None,
        **unknown: Any,
    ) -> None:
        """Counts words and makes untrained vectors for those that stay.

        Args:
            corpus_iterable: lists of tokens, or strings that are split at white space; gone through once.
            corpus_file: files instead, as in the constructor.
            update: add to the vocabulary there is: counts of known words, which keep their vectors, add up, and new
                words that pass min_count or the trim rule in this text get vectors behind those. Otherwise the model
                starts anew.
            progress_per: not used: progress is shown by time.
            keep_raw_vocab: keep the counts of all words as `raw_vocab`.
            trim_rule, min_count, sample: instead of the settings, which min_count and sample change.

        Raises:
            RuntimeError: there is no vocabulary to be updated.
            Others: as `fit`.
        """
        require_known("build_vocab", unknown, ("min_count", "sample", "update", "keep_raw_vocab", "trim_rule"))
        self.min_count = self.min_count if min_count is None else min_count
        self.sample = self.sample if sample is None else sample
        source = TextSource(corpus_iterable, corpus_file, self.workers)
        self.usable_config()
        census = source.count(corpus_config(self), self._choice(trim_rule, update, keep_raw_vocab))
        self._install(census.vocabulary, update)
        self.corpus_count, self.corpus_total_words = census.sentences, census.raw_tokens

    def build_vocab_from_freq(
        self,
        word_freq: Mapping[str, int],
        keep_raw_vocab: bool = False,
        corpus_count: int | None = None,
        trim_rule: TrimRule | None = None,
        update: bool = False,
    ) -> None:
        """As `build_vocab`, of words that were counted before, in the order of their first appearance.

        corpus_count: the number of sentences they were counted in, where it is known.
        """
        counts = require_counts(word_freq)
        self.usable_config()
        self._install(self._vocabulary_of(counts, self._rules(trim_rule), update), update)
        self.raw_vocab = counts if keep_raw_vocab else {}
        self.corpus_count, self.corpus_total_words = corpus_count or 0, sum(counts.values())

    def init_weights(self) -> None:
        """Makes all vectors untrained again."""
        self.require_tables(training_config(self))
        self.begin(self.vocabulary)

    def reset_from(self, other_model: ModelState) -> None:
        """Takes over another model's vocabulary, with untrained vectors. RuntimeError where it has none."""
        if not len(other_model.vocabulary):
            raise RuntimeError("other_model: expected a model with a vocabulary, found none; call its build_vocab")
        self.begin(other_model.vocabulary)
        self.corpus_count, self.corpus_total_words = other_model.corpus_count, other_model.corpus_total_words
        self.effective_min_count = other_model.effective_min_count

    def _choice(
        self, trim_rule: TrimRule | None = None, update: bool = False, keep_raw_vocab: bool = False
    ) -> WordChoice | None:
        """How words are chosen; None: as CorpusConfig says, which takes less time."""
        rules = self._rules(trim_rule)
        self.raw_vocab = {}
        if rules.look_at_counts_alone and not update and not keep_raw_vocab:
            return None

        def choose(words: DistinctWords) -> Vocabulary:
            counts = words.counted()
            if keep_raw_vocab:
                self.raw_vocab = counts
            return self._vocabulary_of(counts, rules, update)

        return choose

    def _rules(self, trim_rule: TrimRule | None) -> VocabularyRules:
        config = corpus_config(self)
        rule = self.trim_rule if trim_rule is None else trim_rule
        return VocabularyRules(config.min_count, config.max_final_vocab, bool(self.sorted_vocab), rule)

    def _vocabulary_of(self, counts: Mapping[str, int], rules: VocabularyRules, update: bool) -> Vocabulary:
        if not update:
            return rules.new(counts)
        if not len(self.vocabulary):
            raise RuntimeError("update: expected a vocabulary to add to, found none; call build_vocab without update")
        return rules.grown(self.vocabulary, counts)

    def _install(self, vocabulary: Vocabulary, update: bool) -> None:
        if update:
            self._grow(vocabulary)
        else:
            self.begin(vocabulary)
        limit = corpus_config(self).max_final_vocab
        least = int(np.min(vocabulary.counts)) if limit == len(vocabulary) else 0
        self.effective_min_count = max(self.min_count or 1, least)
