"""One cluster without a project of one's own: configuration in, one cluster, its kubeconfig out."""

import pulumi

from firestorm import Cluster, args_from_config

args = args_from_config(pulumi.Config("firestorm"), name=pulumi.get_stack())
cluster = Cluster(args["name"], args)

pulumi.export("kubeconfig", cluster.kubeconfig)
pulumi.export("apiAddress", cluster.api_address)
pulumi.export("nodes", cluster.nodes)
pulumi.export("expires", cluster.expires)
pulumi.export("seconds", cluster.seconds)
