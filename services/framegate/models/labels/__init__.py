"""Labelled images, whatever the format that they come in."""

from framegate.models.labels.model import LabelledImage, LabelledSet, LeftOut
from framegate.models.labels.read import read_labels

__all__ = ["LabelledImage", "LabelledSet", "LeftOut", "read_labels"]
