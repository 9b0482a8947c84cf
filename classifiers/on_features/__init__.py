"""Classifiers on the features of a frozen dual encoder, computed once: seconds on a CPU.

Every method is a function of a `Task` and a seed that gives a `Fitted`.

Example:
    >>> task = Task(model.encode_image(images), labels, class_texts, scale=100.0)
    >>> fitted = METHODS["text-probe"].fit(task)
    >>> fitted.logits(model.encode_image(others), new_texts=texts_of_other_names)
"""

from classifiers.on_features.choosing import choose as choose
from classifiers.on_features.fitted import Fitted as Fitted
from classifiers.on_features.fitted import LinearFit as LinearFit
from classifiers.on_features.methods import METHODS as METHODS
from classifiers.on_features.methods import Method as Method
from classifiers.on_features.new_class_calibration import SetAside as SetAside
from classifiers.on_features.new_class_calibration import groups as groups
from classifiers.on_features.new_class_calibration import offset as offset
from classifiers.on_features.new_class_calibration import offset_in_turn as offset_in_turn
from classifiers.on_features.new_class_calibration import with_new_names as with_new_names
from classifiers.on_features.prolip_projection import ProjectionFit as ProjectionFit
from classifiers.on_features.task import BeforeProjection as BeforeProjection
from classifiers.on_features.task import Task as Task
