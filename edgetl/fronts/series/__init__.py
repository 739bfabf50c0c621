"""Windows of sensor channels: read from tables and files, cut or continued to the steps that a network sees."""
