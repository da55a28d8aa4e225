"""Every kernel by definition, in plain NumPy: obvious first, fast never."""
