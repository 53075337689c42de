"""The decisions that counts allow."""
