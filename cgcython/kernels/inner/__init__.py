"""What the families of kernels are made of; no names here are public."""
