"""Compiled code that works on bytes, shapes and strides, without the GIL."""
