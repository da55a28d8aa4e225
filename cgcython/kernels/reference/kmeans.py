"""kmeans."""
