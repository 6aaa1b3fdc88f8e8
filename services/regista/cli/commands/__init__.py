"""The commands, one module for each part of the program; ``add_to`` registers them."""
