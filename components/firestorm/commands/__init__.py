"""The commands of `firestorm`, a module for each group.

parser       what they take, and their help
run          calls one of them, and makes an exit status of what it raises
output       tables, JSON, progress
registered   list, down, extend, hold, gc: clusters of which only the record is needed
using        up, plan, status, kubeconfig, exec, collect
ci           ci run
image, render, doctor, completion
"""
