"""The cloud side: stores blocks in the lake and derives everything else. Never imports `edge`."""
