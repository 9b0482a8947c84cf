"""The health of a folder of records: duplicates, wrong labels, spoilt images, classes."""

from pipelines.inspection.leaks import leaks as leaks
from pipelines.inspection.options import Options as Options
