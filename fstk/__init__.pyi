from . import compat as compat
from .client import FeatureEngineeringClient
from .engines.connect import connect
from .jobs.finish import finish
from .jobs.job import job
from .notebook.magics import load_ipython_extension
from .online.cosmos import AzureCosmosDBSpec
from .online.memory import MemorySpec
from .online.postgres import PostgreSQLSpec
from .online.redis import RedisSpec
from .online.sqlite import SQLiteSpec
from .proof.prove import prove
from .secret import Secret
from .tables.spec import FeatureTable
from .training.functions import FeatureFunction
from .training.spec import FeatureLookup
from .training.training_set import TrainingSet
from .windows.calendar import Calendar
from .windows.features import WindowedFeatures
from .windows.presets import create_time_windowed_features
from .windows.spec import Aggregate
from .windows.spine import Spine

__version__: str
__all__ = [
    "Aggregate",
    "AzureCosmosDBSpec",
    "Calendar",
    "FeatureEngineeringClient",
    "FeatureFunction",
    "FeatureLookup",
    "FeatureTable",
    "MemorySpec",
    "PostgreSQLSpec",
    "RedisSpec",
    "SQLiteSpec",
    "Secret",
    "Spine",
    "TrainingSet",
    "WindowedFeatures",
    "connect",
    "create_time_windowed_features",
    "finish",
    "job",
    "load_ipython_extension",
    "prove",
]
