"""Platforms: what turns a node's Ignition config into a running machine. One package each, with the same modules."""
