# pyarrow makes these functions when it is imported, which a type checker cannot see.
from typing import Any

def __getattr__(name: str) -> Any: ...
