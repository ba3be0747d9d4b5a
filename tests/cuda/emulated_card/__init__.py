"""The emulated card: runs PTX on the CPU, checks every access, and stands in for the driver. See ../README.md."""
