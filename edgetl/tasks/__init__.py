"""What a network is to answer, and how answers become a score: one folder per task."""
