"""What is wrong with the images before anything is trained on them: leaks, copies, labels, drift, sizes."""
