"""Sound: read, resampled and cut to the window by integer rules that the C++ runtime repeats exactly."""
