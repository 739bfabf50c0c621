"""One function per stage of the chain: what it depends on (its key) and the code that runs it.

Nothing heavy is imported until a stage really runs, so that a build with nothing to do ends at once.
"""
