"""Readiness: whether a cluster is up, or why not, in its nodes' own words.

lines        pure: console text made fit to show; ignition: what Ignition's log says
console      pure: a serial console's text -> how far the node came, and what failed
journal      pure: the node's own logs -> what they say went wrong
port         the host's end of a node's journal port; asking: who is asked, and when
observation  pure: what is seen of a cluster at one moment
watch        pure: observations -> progress, and a verdict; blame: the message of a bad one
loop         runs a watch against the world until it decides
api          the Kubernetes API as far as readiness needs it (access, objects)
resource     the Pulumi resource around them

Nothing is imported here: the pure modules cost milliseconds, `api` and `resource` load Kubernetes and Pulumi clients.
"""
