"""One file per stage of the chain: what it depends on (its key), and the call of the code that does its work.

Nothing heavy is imported until a stage really runs, so that a build with nothing to do ends at once.
"""
