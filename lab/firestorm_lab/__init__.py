"""The test bed: builds what a machine without downloads lacks, and serves it to a cluster under test.

Nothing of `firestorm` imports this package. Everything it makes lies in a content-keyed cache outside the tree.
"""
