"""Text in, word ids out: sources, vocabulary, encoding, and what is sampled from them."""

from __future__ import annotations

from pyembed.corpus.errors import CorpusError
from pyembed.corpus.ingest import Corpus, IngestReport, ingest_files, ingest_sentences
from pyembed.corpus.line_sentences import LineSentence, PathLineSentences
from pyembed.corpus.token_ids import TokenIds
from pyembed.corpus.vocabulary import Vocabulary

__all__ = [
    "Corpus",
    "CorpusError",
    "IngestReport",
    "LineSentence",
    "PathLineSentences",
    "TokenIds",
    "Vocabulary",
    "ingest_files",
    "ingest_sentences",
]
