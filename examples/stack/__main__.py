"""A cluster of two worker pools in a Pulumi program of one's own."""

from pathlib import Path

import pulumi

from firestorm import Cluster

SNIPPETS = Path(__file__).parent / "snippets"

config = pulumi.Config()

cluster = Cluster(
    "shop",
    {
        "name": "shop",
        "os": {"name": "flatcar", "channel": config.get("channel") or "stable"},
        "controllers": {"cpus": 2, "memory": "4GiB"},
        "workers": [
            {
                "name": "general",
                "count": config.get_int("workers") or 2,
                "memory": "4GiB",
                "snippets": [{"path": str(SNIPPETS / "general.bu")}],
            },
            {
                "name": "batch",
                "cpus": 4,
                "memory": "8GiB",
                "labels": {"purpose": "batch"},
                "taints": [{"key": "purpose", "value": "batch"}],
            },
        ],
    },
)

pulumi.export("kubeconfig", cluster.kubeconfig)
pulumi.export("nodes", cluster.nodes)
pulumi.export("expires", cluster.expires)
