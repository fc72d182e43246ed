"""HTTP with bounded retries: which failures pass by themselves, and how the others are told."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeVar

import httpx

from firestorm.errors import ImageError

T = TypeVar("T")

# Statuses that say "later" rather than "no" (RFC 9110 section 15; 425: RFC 8470, 429: RFC 6585).
TRANSIENT_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
SMALL: Final = 8 << 20  # bytes; a stream's metadata is some 100 KiB, Fedora's keys some 50 KiB


class UnreachableError(ImageError):
    """A release server gives no usable answer: no connection, or a failure of its own that outlasts all retries."""


class NotFoundError(ImageError):
    """A release server answers 404 or 410: there is no such file."""


class TransientFailure(Exception):  # noqa: N818 - never escapes this package
    """A failure that another attempt may mend. `wait`: seconds the server asks for, None if it does not."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait = wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often a transient failure is tried again.

    `attempts` in all, `first` seconds of pause that double up to `longest`. A download that has gained at least
    `progress` bytes since its last failure starts counting anew.
    """

    attempts: int = 5
    first: float = 1.0
    longest: float = 20.0
    progress: int = 1 << 20
    sleep: Callable[[float], None] = time.sleep

    def pause(self, failures: int, failure: TransientFailure) -> None:
        """Waits before the attempt that follows `failures` failed ones."""
        wait = self.first * 2 ** (failures - 1) if failure.wait is None else failure.wait
        self.sleep(min(wait, self.longest))


def http_client() -> httpx.Client:
    """A client for release servers. It honours the proxy variables of the environment.

    Content codings are refused: checksums and ranges are those of the file itself.
    """
    return httpx.Client(
        follow_redirects=True,
        timeout=httpx.Timeout(30.0, connect=10.0),
        headers={"Accept-Encoding": "identity", "User-Agent": "firestorm"},
    )


def gave_up(url: str, failure: TransientFailure, attempts: int) -> UnreachableError:
    """The error after the last attempt at `url`."""
    times = f" ({attempts} attempts)" if attempts > 1 else ""
    return UnreachableError(
        f"{url}: {failure.reason}{times}; check the network and try again, or name a mirror in `mirrors`"
    )


def check_status(response: httpx.Response, url: str) -> None:
    """Raises for every status that is neither a success nor 416, which only a ranged download can get."""
    status = response.status_code
    if response.is_success or status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return
    said = f"the server answers {status} {response.reason_phrase}".rstrip()
    if status in TRANSIENT_STATUSES:
        after = response.headers.get("Retry-After", "")
        raise TransientFailure(said, float(after) if after.isdecimal() else None)
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        raise NotFoundError(f"{url}: {said}")
    raise ImageError(f"{url}: {said}; check that the URL or its mirror may be read without credentials")


def transport_failure(error: httpx.TransportError, url: str) -> TransientFailure:
    """The transient failure behind `error`.

    Raises:
        UnreachableError: the server's certificate is not trusted, or the URL's scheme is not HTTP.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise UnreachableError(
                f"{url}: the server's certificate is not trusted ({cause.verify_message}); "
                "check this machine's clock and CA certificates, or set SSL_CERT_FILE to the authority of your proxy"
            ) from error
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.UnsupportedProtocol):
        raise UnreachableError(f"{url}: not an http:// or https:// URL; correct it in `mirrors`") from error
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return TransientFailure(f"no connection to the server ({str(error) or 'timed out'})")
    if isinstance(error, httpx.TimeoutException):
        return TransientFailure("the server stopped answering")
    return TransientFailure("the connection broke off")


def get_small(client: httpx.Client, url: str, *, retry: Retry, limit: int = SMALL) -> bytes:
    """The body at `url`, at most `limit` bytes.

    Raises:
        NotFoundError: 404 or 410; the message has no remedy yet.
        UnreachableError: transient failures outlasted `retry`.
        ImageError: any other answer, or a longer body.
    """

    def once() -> bytes:
        body = bytearray()
        with client.stream("GET", url) as response:
            check_status(response, url)
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > limit:
                    raise ImageError(
                        f"{url}: the answer is longer than {limit} bytes, so it is not the file that belongs there; "
                        "correct the mirror"
                    )
        return bytes(body)

    return attempt(once, url, retry)


def attempt(action: Callable[[], T], url: str, retry: Retry) -> T:
    """`action`, again after each transient failure until `retry` is used up."""
    return attempt_all(action, url, retry, lambda: 0, lambda _reason: None)


def attempt_all(
    action: Callable[[], T], url: str, retry: Retry, gained: Callable[[], int], failed: Callable[[str], None]
) -> T:
    """`action`, again after each transient failure until `retry` is used up.

    `gained` is the number of bytes that earlier attempts have won and later ones build on; `failed` is told why there
    will be another attempt.
    """
    failures = 0
    while True:
        before = gained()
        try:
            return action()
        except TransientFailure as error:
            failure = error
        except httpx.InvalidURL as error:
            raise UnreachableError(f"{url}: not a valid URL ({error}); correct it in `mirrors`") from error
        except httpx.TooManyRedirects as error:
            raise ImageError(f"{url}: the server redirects in a circle; correct the mirror") from error
        except httpx.TransportError as error:
            failure = transport_failure(error, url)
        failures = 1 if gained() - before >= retry.progress else failures + 1
        if failures >= retry.attempts:
            raise gave_up(url, failure, failures) from failure
        failed(failure.reason)
        retry.pause(failures, failure)
