"""Why INT8 costs what it costs, and what can be done: `blame`, `forecast` and repair."""
