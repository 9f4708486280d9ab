# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""The vocabulary of an earlier preparation, whose ids keep their index."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from twhin.errors import DataError
from twhin.graph.manifest import VocabularyManifest, load_manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseVocabulary:
    """An earlier preparation.

    Attributes:
      folder: Its folder.
      digest: The digest in its manifest.
      vocabularies: By entity type.
    """

    folder: Path
    digest: str
    vocabularies: Mapping[str, VocabularyManifest]

    def id_types(self) -> dict[str, str]:
        """Returns the id type of each entity type."""
        return {name: v.id_type for name, v in self.vocabularies.items()}

    def files(self, entity_type: str) -> Path | None:
        """Returns the folder of an entity type's vocabulary; None without ids."""
        vocabulary = self.vocabularies.get(entity_type)
        if vocabulary is None or not vocabulary.num_ids:
            return None
        return self.folder / "vocabulary" / entity_type


def load_base(folder: str | None) -> BaseVocabulary | None:
    """Opens an earlier preparation.

    Args:
      folder: Its folder, absolute; None for no base.

    Raises:
      DataError: It is not a complete prepared graph.
    """
    if folder is None:
        return None
    try:
        manifest = load_manifest(folder)
    except DataError as error:
        raise DataError(f"data.raw.base_vocabulary: {error}") from error
    return BaseVocabulary(
        folder=Path(folder),
        digest=manifest.digest,
        vocabularies={v.entity_type: v for v in manifest.vocabularies},
    )
