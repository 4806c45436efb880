"""Data only: the ONNX files, the tokenizer, the background and what is usual of kilonova-mini."""
