"""Which backbone suits the images and the target, without training any of them."""
