"""The deployer: what endpoints want, made to run on targets, and reported back."""
