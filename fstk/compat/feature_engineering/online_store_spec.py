"""The online stores that a publication names."""

from fstk.online.cosmos import AzureCosmosDBSpec
from fstk.online.redis import RedisSpec

__all__ = ["AzureCosmosDBSpec", "RedisSpec"]
