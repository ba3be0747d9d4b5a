"""The extension module, which pyproject.toml cannot declare; everything else is there."""

from setuptools import setup

setup(
    cffi_modules=["csrc/build.py:library"],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
