"""What came of it: the verdicts and numbers of a build as JSON, a page and a table."""
