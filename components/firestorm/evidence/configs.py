"""A node's rendered config as evidence: the Ignition document, and a text for people, both without their secrets."""

from __future__ import annotations

import json

from firestorm.evidence.files import Folder
from firestorm.evidence.model import Missing


def collect_config(name: str, config: str, folder: Folder) -> tuple[Missing, ...]:
    """Write `config` (Ignition JSON) of the node `name` as `config.ign` and, to be read, as `config.txt`."""
    import firestorm_butane
    from firestorm_butane.secrecy import masked

    try:
        document = json.loads(config)
        shown = firestorm_butane.show(document)
        hidden = json.dumps(masked(document), indent=2, sort_keys=True)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return (Missing(what=f"config of {name}", why=f"it is no Ignition config ({type(error).__name__})"),)
    folder.write_exactly(f"nodes/{name}/config.ign", f"{hidden}\n")
    folder.write_exactly(f"nodes/{name}/config.txt", shown)
    return ()
