"""What quantization costs, measured against float32 on the same data."""
