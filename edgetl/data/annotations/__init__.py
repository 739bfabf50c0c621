"""Labeled objects in images: COCO, YOLO, Pascal VOC and CSV, read strictly into one form. Opens no image."""
