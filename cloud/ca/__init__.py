"""The fleet's certificate authority: two roots in a folder, and a register of certificates."""
