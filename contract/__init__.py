"""What crosses a boundary between gateway and cloud. Standard library only."""
