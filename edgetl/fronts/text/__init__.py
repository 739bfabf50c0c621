"""The front of texts: tokenizers described in one file, encoded here and in the C++ runtime."""
