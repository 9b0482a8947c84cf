"""`class_name_options` under the name that it had in version 0.1."""

from pipelines.runs.class_name_options import class_names as class_names
from pipelines.runs.class_name_options import templates as templates
