"""Pulumi configuration as a cluster's arguments."""

from __future__ import annotations

from typing import cast

import pulumi

from firestorm.errors import FirestormError
from firestorm.spec import ClusterArgs, document_from_config
from firestorm.spec.document import DOCUMENT


def args_from_config(config: pulumi.Config, *, name: str) -> ClusterArgs:
    """The arguments in `config`'s keys, those of `cluster.yaml`; `name` is the cluster's where no key gives it.

    Raises pulumi.RunError where a value is not JSON.
    """
    given = {field.name: config.get(field.name) for field in DOCUMENT.fields}
    try:
        document = document_from_config({key: value for key, value in given.items() if value is not None})
    except FirestormError as error:
        raise pulumi.RunError(str(error)) from error
    return cast(ClusterArgs, {"name": name, **document})
