"""Firestorm: Kubernetes on container operating systems, declared in Pulumi.

A whole program:

    import pulumi
    from firestorm import Cluster

    cluster = Cluster("dev", {"name": "dev"})
    pulumi.export("kubeconfig", cluster.kubeconfig)
"""

from __future__ import annotations

from firestorm.late import late

TYPE_CHECKING = False  # as type checkers understand it; the module `typing` alone costs some of what a help text may
if TYPE_CHECKING:
    from firestorm.cluster import Cluster
    from firestorm.config import args_from_config
    from firestorm.errors import FirestormError
    from firestorm.spec import ClusterArgs, ClusterSpec

__all__ = ["Cluster", "ClusterArgs", "ClusterSpec", "FirestormError", "args_from_config"]

_HOMES = {
    "Cluster": "firestorm.cluster",
    "ClusterArgs": "firestorm.spec",
    "ClusterSpec": "firestorm.spec",
    "FirestormError": "firestorm.errors",
    "args_from_config": "firestorm.config",
}

# Pulumi alone takes most of a second.
__getattr__ = late(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
