"""What runs in the cluster: objects for server-side apply, in the order in which they have to exist."""

from firestorm.render.manifests.all import manifests

__all__ = ["manifests"]
