def require() -> None:
    raise NotImplementedError
