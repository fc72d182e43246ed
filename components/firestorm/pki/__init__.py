"""The cluster's keys and certificates: pure functions of a request, never of the network or of Pulumi.

`firestorm.pki.resource` and `firestorm.pki.token` hold the Pulumi resources that keep the results in the state.
"""

from firestorm.pki.expiry import parse_expires, warnings
from firestorm.pki.issue import issue
from firestorm.pki.model import KeyPair, Pki
from firestorm.pki.profiles import KUBELET_API_GROUP
from firestorm.pki.request import PkiNode, PkiRequest, request_for

__all__ = [
    "KUBELET_API_GROUP",
    "KeyPair",
    "Pki",
    "PkiNode",
    "PkiRequest",
    "issue",
    "parse_expires",
    "request_for",
    "warnings",
]
