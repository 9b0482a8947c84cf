# make demo · make test · make lint · make docs · make parity · make bench · make shapes-tiny
# Each sets up what it needs in .venv, from Python 3.11 and make alone; a second run reuses it.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIPELINES := $(BIN)/python -m pipelines
PIP := $(BIN)/pip install --quiet --disable-pip-version-check

.PHONY: demo test torture lint docs parity bench shapes-tiny clean
.DELETE_ON_ERROR:

demo: records/shapes-wild-4000/manifest.json
	$(PIPELINES) compare --config shapes_compare

records/shapes-wild-4000/manifest.json: | .venv/base
	$(PIPELINES) prepare --dataset shapes-wild --limit 4000 --out records/shapes-wild-4000

records/%/manifest.json: | .venv/base
	$(PIPELINES) prepare --dataset $* --out records/$*

test: .venv/dev
	$(BIN)/python -m pytest

# Every command killed at each of its writes, given again, and compared: an hour on 2 cores.
torture: .venv/dev
	$(BIN)/python tests/torture.py

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The site, in build/site; the commands and the Python reference are made of the code.
docs: .venv/dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

# Every published checkpoint at its real size, against the library that it comes from.
parity: .venv/parity
	$(BIN)/python tests/parity
	$(BIN)/python tests/parity/open_clip_families.py
	KERAS_BACKEND=jax $(BIN)/python tests/parity clip-vit-base-patch32 clip-rn50
	for precision in mixed_bfloat16 mixed_float16; do \
	    $(BIN)/python tests/parity clip-vit-base-patch32 clip-rn50 siglip-base-patch16-224 \
	        --precision $$precision || exit 1; done
	$(BIN)/python tests/parity/food101_study.py

bench: .venv/dev
	$(BIN)/python benchmarks/input_pipeline.py

# The checkpoint that ships with the package, made again: about an hour on 2 cores.
shapes-tiny: records/shapes/manifest.json
	$(PIPELINES) train --config shapes_tiny
	$(BIN)/python -c "import dual_encoder as d; \
	    d.save_packed(d.load('runs/shapes_tiny'), 'dual_encoder/checkpoints/shapes-tiny.safetensors')"

.venv/base: pyproject.toml
	$(PYTHON) -m venv .venv
	$(PIP) --editable .
	touch $@

.venv/dev: .venv/base
	$(PIP) --editable '.[dev]'
	touch $@

# open_clip and timm ask for torchvision, which they only use on training images.
.venv/parity: .venv/dev
	$(PIP) --editable '.[parity]'
	$(PIP) --no-deps open_clip_torch==3.3.0 timm==1.0.31
	touch $@

clean:
	rm -rf .venv runs records build
