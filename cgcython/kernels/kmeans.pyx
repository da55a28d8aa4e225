"""The kmeans family."""
