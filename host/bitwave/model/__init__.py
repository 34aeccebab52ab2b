"""The quantized model: as plain data, with its metadata, as an image and as C text."""
