# make demo · test · notebooks · torture · lint · docs · parity · edges · lock · bench · shapes-tiny
# Each sets up what it needs in .venv, from Python 3.11 and make alone; a second run reuses it.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || \
    command -v python3 || echo python3.11)
BIN := .venv/bin
PIPELINES := $(BIN)/python -m pipelines
# Errors alone are said; versions are those that were tried together.
PIP := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check \
    --constraint requirements-lock.txt

# Of a shell's settings: other programs' packages would be found first, assertions be left out, all
# code be compiled anew in each process that tests start, and names of files be in other letters.
unexport PYTHONPATH PYTHONHOME PYTHONOPTIMIZE PYTHONDONTWRITEBYTECODE
export PYTHONUTF8 := 1

.PHONY: demo test notebooks torture lint docs parity edges edge-oldest edge-newest lock bench \
    shapes-tiny clean parity-rows parity-jax parity-next
.DELETE_ON_ERROR:

demo: records/shapes-wild-3000/manifest.json
	$(PIPELINES) compare --config shapes_compare

records/shapes-wild-3000/manifest.json: | .venv/base
	$(PIPELINES) prepare --dataset shapes-wild --limit 3000 --out records/shapes-wild-3000

records/%/manifest.json: | .venv/base
	$(PIPELINES) prepare --dataset $* --out records/$*

test: .venv/dev
	$(BIN)/python -m pytest

# Every notebook of examples/, whole; `make test` runs one.
notebooks: .venv/dev
	NOTEBOOKS=all $(BIN)/python -m pytest tests/test_notebooks.py

# Every command killed, interrupted and terminated at each of its writes, given again, and
# compared: hours on 2 cores. `python tests/torture.py train --how state` is one command, one way.
torture: .venv/dev
	$(BIN)/python tests/torture.py

lint: .venv/dev
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

# The site, in build/site; the commands and the Python reference are made of the code.
docs: .venv/dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

# Every published checkpoint at its real size, against the library that it comes from. `make -k`
# goes on after one that differs; `make parity-jax` is one of them alone.
PARITY := $(addprefix parity-,published torch_files onnx_towers open_clip_families \
    transformers_families transformers_defaults rows jax mixed_bfloat16 mixed_float16 next food101_study)
NEXT := transformers==5.24.0

parity: $(PARITY)

parity-%: .venv/parity
	$(BIN)/python tests/parity/$*.py

parity-rows: .venv/parity
	$(BIN)/python tests/parity

parity-jax: .venv/parity
	KERAS_BACKEND=jax $(BIN)/python tests/parity clip-vit-base-patch32 clip-rn50

parity-mixed_%: .venv/parity
	$(BIN)/python tests/parity clip-vit-base-patch32 clip-rn50 siglip-base-patch16-224 \
	    --precision mixed_$*

# The version of transformers after the one that the extra pins.
parity-next: .venv/parity
	$(PIP) --no-deps --upgrade --target .venv/next $(NEXT)
	PYTHONPATH=.venv/next $(BIN)/python tests/parity/transformers_families.py
	PYTHONPATH=.venv/next $(BIN)/python tests/parity clip-vit-base-patch32 minilm-l6

# The oldest and the newest versions of every dependency that pyproject.toml allows.
EDGE_TESTS := $(patsubst %,tests/test_%.py,classifiers_probe pipelines_config \
    dual_encoder_checkpoints_hub_fetch dual_encoder_checkpoints_keras_hub_read \
    dual_encoder_checkpoints_tokenizers_read dual_encoder_checkpoints_weight_files \
    dual_encoder_tensorboard dual_encoder_torch_files pipelines_evaluation_report \
    tfrecords_images_reencoding tfrecords_sources tfrecords_writer)

edges: edge-oldest edge-newest

edge-oldest edge-newest: edge-%: .venv-%/done
	.venv-$*/bin/python -m pytest $(EDGE_TESTS)

.venv-oldest/done: RESOLUTION := lowest-direct
.venv-newest/done: RESOLUTION := highest
.venv-%/done: pyproject.toml
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/pip install --quiet --disable-pip-version-check uv
	.venv-$*/bin/uv pip compile --quiet --extra serve --python .venv-$*/bin/python \
	    --resolution $(RESOLUTION) pyproject.toml --output-file .venv-$*/versions.txt
	.venv-$*/bin/pip install --quiet --disable-pip-version-check \
	    --requirement .venv-$*/versions.txt 'pytest>=9' 'pytest-xdist>=3.8'
	.venv-$*/bin/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

# The versions that every other target installs, for all Pythons that are allowed; newer ones only
# come with the next `make lock`. `make edge-newest` tries them before.
lock:
	$(PYTHON) -m venv build/uv
	build/uv/bin/pip install --quiet --disable-pip-version-check uv
	build/uv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --extra dev \
	    --no-annotate --custom-compile-command 'make lock' --output-file requirements-lock.txt \
	    pyproject.toml

bench: .venv/dev
	$(BIN)/python benchmarks/input_pipeline.py

# The checkpoint that ships with the package, made again: about an hour on 2 cores.
shapes-tiny: records/shapes/manifest.json
	$(PIPELINES) train --config shapes_tiny
	$(BIN)/python -c "import dual_encoder as d; \
	    d.save_packed(d.load('runs/shapes_tiny'), 'dual_encoder/checkpoints/shapes-tiny.safetensors')"

# pip would say of another Python that versions conflict, and .venv would keep it.
SUPPORTED := import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit("expected Python \
    3.11 to 3.13, as in make PYTHON=python3.12; $(PYTHON) is " + sys.version.split()[0])

.venv/base: pyproject.toml requirements-lock.txt
	@$(PYTHON) -c '$(SUPPORTED)'
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
	rm -rf .venv .venv-oldest .venv-newest runs records build
