"""Data only: the ONNX files, the tokenizer and the background of kilonova-mini."""
