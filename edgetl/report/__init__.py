"""The verdicts and numbers of a build as JSON, an HTML page and a table."""
