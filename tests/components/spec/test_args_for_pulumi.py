"""The typed arguments, as Pulumi's analyzer reads them for other languages.

No postponed annotations in this file: the analyzer reads a component's argument type from its signature as it stands.
"""

import pulumi
from pulumi.provider.experimental.analyzer import Analyzer

from firestorm.spec import ClusterArgs


class _Cluster(pulumi.ComponentResource):
    """What Pulumi's analyzer sees of a component."""

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Never called."""


def test_pulumis_analyzer_can_serve_the_arguments_to_other_languages() -> None:
    analyzed = Analyzer("firestorm").analyze([_Cluster])
    inputs = analyzed["component_definitions"]["_Cluster"].inputs
    assert {name for name, field in inputs.items() if not field.optional} == {"name"}
    assert set(analyzed["type_definitions"]) == {
        "ArtifactArgs",
        "ControllersArgs",
        "ImageArgs",
        "KubernetesArgs",
        "LibvirtArgs",
        "NetworkArgs",
        "OsArgs",
        "PlatformArgs",
        "SnippetArgs",
        "TaintArgs",
        "WorkersArgs",
    }
