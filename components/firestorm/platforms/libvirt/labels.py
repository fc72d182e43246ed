"""Labels: facts of a cluster on its libvirt objects, where they outlive every file about it.

They are an element of a namespace of our own below `metadata`, which may have one for each namespace.
https://libvirt.org/formatdomain.html#general-metadata, https://libvirt.org/formatnetwork.html#general-metadata
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from xml.sax.saxutils import escape, quoteattr

NAMESPACE = "urn:firestorm:cluster:1"
PREFIX = "firestorm"


def element(labels: Mapping[str, str]) -> str:
    """The element that carries `labels`; empty without any."""
    if not labels:
        return ""
    inner = "".join(
        f"<{PREFIX}:label name={quoteattr(name)}>{escape(labels[name])}</{PREFIX}:label>" for name in labels
    )
    return f'<{PREFIX}:cluster xmlns:{PREFIX}="{NAMESPACE}">{inner}</{PREFIX}:cluster>'


def plain(labels: Mapping[str, str]) -> str:
    """As `element` for `virsh metadata`, which puts it into the namespace itself."""
    tree = ET.Element("cluster")
    for name, value in labels.items():
        ET.SubElement(tree, "label", name=name).text = value
    return ET.tostring(tree, encoding="unicode")


def metadata(labels: Mapping[str, str]) -> str:
    """The `metadata` element of a new domain or network; empty without labels."""
    return f"<metadata>{element(labels)}</metadata>" if labels else ""


def found(tree: ET.Element) -> dict[str, str]:
    """The labels of a domain or network, from its XML; none if it has no such element."""
    return {
        label.get("name", ""): label.text or ""
        for label in tree.findall(f"metadata/{{{NAMESPACE}}}cluster/{{{NAMESPACE}}}label")
    }


def relabelled(tree: ET.Element, labels: Mapping[str, str]) -> str:
    """The XML of a domain or network with `labels` in place of those that it has; the tree is changed."""
    metadata_ = tree.find("metadata")
    if metadata_ is None:
        metadata_ = ET.SubElement(tree, "metadata")
    for old in metadata_.findall(f"{{{NAMESPACE}}}cluster"):
        metadata_.remove(old)
    if labels:
        metadata_.append(ET.fromstring(element(labels)))
    ET.register_namespace(PREFIX, NAMESPACE)
    return ET.tostring(tree, encoding="unicode")
