# Its classes are compiled and its functions made when it is imported: a type checker sees neither.
from typing import Any

def __getattr__(name: str) -> Any: ...
