# Copyright 2026 The TwHIN on torchrec Authors. Licensed under Apache-2.0.

"""Other forms of the vectors, for readers that know nothing of bundles.

    VERSION/parquet/ENTITY_TYPE.parquet          see `feature_table`
    VERSION/safetensors/ENTITY_TYPE.safetensors  see `safetensors_file`
    VERSION/projector/                           see `projector_files`

They lie in the folder of a version, and go with it.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum

from twhin.bundle.bundle import Bundle
from twhin.bundle.id_hash import Int64Array
from twhin.export import feature_table, projector_files, safetensors_file


class OtherForm(StrEnum):
    """A form."""

    PARQUET = "parquet"
    SAFETENSORS = "safetensors"
    PROJECTOR = "projector"


def write_other_forms(
    bundle: Bundle,
    entity_types: Sequence[str],
    forms: Sequence[OtherForm],
    *,
    event_time: datetime,
    load_degrees: Callable[[str], Int64Array],
) -> None:
    """Writes forms of some entity types into the folder of a version.

    Args:
      bundle: With all shards.
      entity_types: Those to write.
      forms: The forms.
      event_time: The time that the vectors are of.
      load_degrees: Returns the training edges of each row of the bundle.
    """
    for form in forms:
        folder = bundle.folder / form
        folder.mkdir(exist_ok=True)
        for entity_type in entity_types:
            match form:
                case OtherForm.PARQUET:
                    feature_table.write_feature_table(
                        bundle,
                        entity_type,
                        folder / f"{entity_type}.parquet",
                        event_time=event_time,
                    )
                case OtherForm.SAFETENSORS:
                    safetensors_file.write_safetensors(
                        bundle, entity_type, folder / f"{entity_type}.safetensors"
                    )
                case OtherForm.PROJECTOR:
                    projector_files.write_projector(
                        bundle, entity_type, folder, load_degrees(entity_type)
                    )
        if form is OtherForm.PROJECTOR:
            # Each rank writes the same.
            projector_files.write_projector_config(bundle.entity_types, folder)
