"""Networks for windows of sensor channels, and their training views."""
