"""fstk: a feature store at home in Jupyter.

>>> import fstk
>>> fe = fstk.FeatureEngineeringClient()

In a notebook ``%load_ext fstk``, then ``%fstk -h``; in a terminal ``fstk -h``. ``help()`` of a name tells all of it:

Features: ``FeatureEngineeringClient`` has the verbs, ``WindowedFeatures``, ``Aggregate`` and ``Calendar`` say what is
computed when, ``FeatureTable`` is what is kept, ``create_time_windowed_features`` the helper of older guides.

Training sets: ``FeatureLookup`` and ``FeatureFunction`` say what a label sees, ``Spine`` which labels there are,
``TrainingSet`` is what comes of it; ``prove`` that none of it knows the future.

Online stores: ``SQLiteSpec``, ``RedisSpec``, ``PostgreSQLSpec``, ``AzureCosmosDBSpec``, ``MemorySpec``.

Jobs: ``job``, ``finish``, ``Secret``.

Sessions: ``connect``. ``compat`` has the names of older guides; ``load_ipython_extension`` is what ``%load_ext`` calls.

Names are imported when they are first used.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)  # the names stand in __init__.pyi
