"""Drills: something of a running installation is broken on purpose, and what clients saw is judged (docs/drills.md).

They run on the full stack, as processes, with the clients and the judge of the tests. The program knows none of them.
"""
