"""A small operator: it answers every Greeting in its status. It runs wherever KUBECONFIG leads to the cluster."""

from lightkube import Client
from lightkube.generic_resource import GenericNamespacedResource, create_namespaced_resource
from lightkube.types import OnErrorAction, OnErrorResult, PatchType

Greeting = create_namespaced_resource("example.com", "v1", "Greeting", "greetings")


def answer(greeting: GenericNamespacedResource) -> dict[str, str]:
    """The status that a Greeting should have."""
    return {"message": f"Hello, {greeting['spec']['name']}!"}


def again(_error: Exception, count: int) -> OnErrorResult:
    """Watch again, after a while: an API server that has just learned of a kind may first say 429."""
    return OnErrorResult(OnErrorAction.RETRY, sleep=min(count, 10))


def main() -> None:
    client = Client()
    for event, greeting in client.watch(Greeting, namespace="*", on_error=again):
        if event == "DELETED" or greeting.get("status") == answer(greeting):
            continue
        name, namespace = greeting.metadata.name, greeting.metadata.namespace
        status = {"status": answer(greeting)}
        client.patch(Greeting.Status, name, status, namespace=namespace, patch_type=PatchType.MERGE)


if __name__ == "__main__":
    main()
