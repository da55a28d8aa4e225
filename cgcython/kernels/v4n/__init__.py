"""The kernels compiled for the processor level v4n."""
