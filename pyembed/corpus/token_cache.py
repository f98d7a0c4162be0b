"""The token cache: which token file, if any, already holds the corpus that some inputs and options make."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyembed.config import CorpusConfig
from pyembed.corpus.errors import CorpusError
from pyembed.corpus.sources import Source
from pyembed.corpus.token_file import Description, read_token_file
from pyembed.corpus.token_ids import TokenIds
from pyembed.corpus.vocabulary import Vocabulary


class TokenCache:
    """One place in a cache folder: the file's name is a hash of all that its content depends on."""

    def __init__(self, folder: Path, made_from: dict[str, Any]) -> None:
        self.made_from = made_from
        key = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:32]
        self.path = folder / f"{key}.tokens"

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str] | None,
        sources: Sequence[Source],
        config: CorpusConfig,
        vocabulary: Vocabulary | None,
    ) -> TokenCache | None:
        """None where nothing can be kept: no folder, or a source that cannot be told from another (a pipe)."""
        if folder is None:
            return None
        files = []
        for source in sources:
            if source.path is None or source.size is None:
                return None
            files.append([str(source.path.resolve()), source.size, source.mtime_ns])
        made_from = {
            "files": files,
            "config": config.to_dict(),
            "vocabulary": None if vocabulary is None else _digest(vocabulary),
        }
        Path(folder).mkdir(parents=True, exist_ok=True)
        return cls(Path(folder), made_from)

    def load(self) -> tuple[TokenIds, Description] | None:
        """What was kept, or None: a file that is missing, damaged or made from something else is never used."""
        try:
            with self.path.open("rb") as file:
                token_ids, description = read_token_file(file)
        except (FileNotFoundError, CorpusError):
            return None
        return (token_ids, description) if description.made_from == self.made_from else None


def _digest(vocabulary: Vocabulary) -> str:
    content = json.dumps([vocabulary.words, vocabulary.counts.tolist()])
    return hashlib.sha256(content.encode()).hexdigest()
