"""The fleet's certificates: two roots in a folder, and a register of what they have issued."""
