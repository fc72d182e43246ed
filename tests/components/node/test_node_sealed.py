"""The sealed config keeps what a machine was made with."""

from __future__ import annotations

from pulumi.dynamic.dynamic import serialize_provider

from firestorm.node.sealed import _Provider

OLD = {"identity": "one", "content": "made with the first token"}


def test_a_new_content_alone_changes_nothing() -> None:
    result = _Provider().diff("one", OLD, {"identity": "one", "content": "made with another token"})
    assert (result.changes, result.replaces) == (False, [])


def test_a_new_identity_replaces_it_with_the_new_content() -> None:
    news = {"identity": "two", "content": "made with another token"}
    result = _Provider().diff("one", OLD, news)
    assert (result.changes, result.replaces, result.delete_before_replace) == (True, ["identity"], False)
    created = _Provider().create(news)
    assert (created.id, created.outs) == ("two", news)


def test_the_provider_itself_is_the_same_at_every_run() -> None:
    """Else the engine would see a change in each preview."""
    assert serialize_provider(_Provider()) == serialize_provider(_Provider())
