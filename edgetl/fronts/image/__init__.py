"""Images: decoded, resized and examined by integer rules that the C++ runtime repeats exactly."""
