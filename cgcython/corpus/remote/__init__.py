"""Arrays in objects that fsspec reads by URL: s3, gs, az, http, memory; by ranges of bytes."""
