"""Pretrained networks: loading them safely, running them fast, exporting them."""
