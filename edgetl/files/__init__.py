"""Reading what others may have written, and writing what survives a kill: bounded, strict, one line for all damage."""
