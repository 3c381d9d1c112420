"""Inference: prepared frames in, detections in pixels of the original out."""
