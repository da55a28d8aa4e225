"""The steps of k-means."""
from cgcython.kernels.reference.kmeans import accumulate, shrink_distances
