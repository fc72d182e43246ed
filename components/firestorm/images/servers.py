"""The official release servers, the keys they sign with, and mirrors of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from firestorm.spec.model import Mirror

FLATCAR_URL: Final = "https://{channel}.release.flatcar-linux.net"
# https://www.flatcar.org/docs/latest/updates-releases/releases/verify-images/
FLATCAR_KEY_URL: Final = "https://www.flatcar.org/security/image-signing-key/Flatcar_Image_Signing_Key.asc"
# "Flatcar Buildbot (Official Builds)", key id E25D9AED0593B34A on https://www.flatcar.org/security/image-signing-key/.
# Images are signed by yearly subkeys, so only the primary key is pinned.
FLATCAR_KEY: Final = "F88CFEDEFF29A5B4D9523864E25D9AED0593B34A"

FCOS_URL: Final = "https://builds.coreos.fedoraproject.org"
FCOS_KEY_URL: Final = "https://fedoraproject.org/fedora.gpg"
# Fedora release -> key. https://fedoraproject.org/security/; 43 to 45 are also coreos-installer's src/signing-keys.asc.
FCOS_KEYS: Final[Mapping[int, str]] = MappingProxyType(
    {
        43: "C6E7F081CF80E13146676E88829B606631645531",
        44: "36F612DCF27F7D1A48A835E4DBFCF71C6D9F90A6",
        45: "4F50A6114CD5C6976A7F1179655A4B02F577861E",
        46: "D924B10D3E810DABDD8B56B596E7E91491211FCE",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """Where images come from and whose signature counts.

    `mirrors` redirect every URL, those inside a server's metadata too: signing keys and signatures may therefore be
    mirrored as well, since the pinned fingerprints decide. `fcos_keys` maps a Fedora release to a fingerprint.
    """

    mirrors: tuple[Mirror, ...] = ()
    flatcar_key: str = FLATCAR_KEY
    fcos_keys: Mapping[int, str] = field(default_factory=lambda: FCOS_KEYS)

    def url(self, official: str) -> str:
        """The URL to ask instead of `official`: the longest mirror prefix that ends at a path boundary wins."""
        best: Mirror | None = None
        for mirror in self.mirrors:
            prefix = mirror.prefix.rstrip("/")
            matches = "://" in prefix and (official == prefix or official.startswith(prefix + "/"))
            if matches and (best is None or len(prefix) > len(best.prefix.rstrip("/"))):
                best = mirror
        if best is None:
            return official
        return best.url.rstrip("/") + official.removeprefix(best.prefix.rstrip("/"))
