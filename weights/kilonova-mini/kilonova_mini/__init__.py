"""Data only: the ONNX files and the tokenizer of kilonova-mini."""
