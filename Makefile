# sonar-dropout. `make` alone lists the targets.
# Options are make variables: make baseline REPEATS=5 SEED=1 (see make help).

PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/installed
RUN := $(VENV)/bin/python -m

# An option counts only when it is given on make's command line: a variable called DATA or
# SEED in somebody's environment should not change a result.
option = $(if $(filter command,$(origin $1)),--$2 "$($1)")
flag = $(if $(and $(filter command,$(origin $1)),$(filter-out 0 no false,$($1))),--$2)
OPTIONS = $(call option,REPEATS,repeats) $(call option,FOLDS,folds) \
          $(call option,EPOCHS,epochs) $(call option,SEED,seed) $(call option,JOBS,jobs) \
          $(call option,DATA,data) $(call option,TARGET,target) \
          $(call option,CANDIDATES,candidates) $(call option,SPACE,space) $(call option,INNER_FOLDS,inner-folds) \
          $(call option,MODEL,model) $(call option,ONLY,only) $(call option,SCHEDULER,scheduler) $(call option,PART,part) \
          $(call option,RESULTS,results) \
          $(call option,ENGINE,engine) $(call flag,CURVES,curves) $(call flag,VERBOSE,verbose)

.DEFAULT_GOAL := help
.PHONY: help baseline visible hidden control remedies tips evaluation tune predict compare figures report all validate verify benchmark test audit lint lock clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  Options: REPEATS FOLDS EPOCHS SEED JOBS DATA TARGET RESULTS ENGINE CURVES VERBOSE"
	@echo "  SCHEDULER; of make tune also CANDIDATES SPACE INNER_FOLDS; of make predict MODEL;"
	@echo "  of make validate PART; of make verify ONLY,"
	@echo "  as in: make baseline REPEATS=5 SEED=1. Not every target takes them all."

baseline: $(INSTALLED)  ## Cross-validate the network without dropout
	@$(RUN) experiments.baseline $(OPTIONS)

visible: $(INSTALLED)  ## Cross-validate 20% dropout on the inputs
	@$(RUN) experiments.visible $(OPTIONS)

hidden: $(INSTALLED)  ## Cross-validate 20% dropout after each hidden layer
	@$(RUN) experiments.hidden $(OPTIONS)

control: $(INSTALLED)  ## Cross-validate the dropout arms' settings without dropout
	@$(RUN) experiments.control $(OPTIONS)

remedies: $(INSTALLED)  ## Train the hidden arm longer and at other learning rates
	@$(RUN) experiments.remedies $(OPTIONS)

tips: $(INSTALLED)  ## Measure the tutorial's five tips (goes on where it was stopped)
	@$(RUN) experiments.tips $(OPTIONS)

evaluation: $(INSTALLED)  ## Show what dropout does in training and at evaluation
	@$(RUN) experiments.evaluation $(OPTIONS)

tune: $(INSTALLED)  ## Tune dropout on a table: make tune DATA=mine.csv
	@$(RUN) experiments.tune $(OPTIONS)

predict: $(INSTALLED)  ## Predict a table's classes: make predict MODEL=results/tuned.keras DATA=new.csv
	@$(RUN) experiments.predict $(OPTIONS)

compare: $(INSTALLED)  ## Compare the arms, with intervals (runs those without results)
	@$(RUN) experiments.compare $(OPTIONS)

figures: $(INSTALLED)  ## Draw the tables into results/figures/
	@$(RUN) experiments.figures $(call option,RESULTS,results)

report: $(INSTALLED)  ## Write results/README.md out of the tables
	@$(RUN) experiments.report $(call option,RESULTS,results)

# At 30 repeats unless it is said otherwise.
all: REPEATS := $(if $(filter command,$(origin REPEATS)),$(REPEATS),30)
all: $(INSTALLED)  ## The arms, remedies, comparison, figures, report; 30 repeats (5 to 10 minutes)
	@$(MAKE) --no-print-directory baseline visible hidden control REPEATS=$(REPEATS) CURVES=1
	@$(MAKE) --no-print-directory remedies REPEATS=$(REPEATS)
	@$(MAKE) --no-print-directory compare REPEATS=$(REPEATS)
	@$(MAKE) --no-print-directory figures
	@$(MAKE) --no-print-directory report

validate: $(INSTALLED)  ## Hold the stacked engine to the tutorial's way (10 to 30 minutes)
	@$(RUN) experiments.validate $(OPTIONS)

verify: $(INSTALLED)  ## Make the results again and compare (20 to 40 minutes; ONLY=baseline,tune)
	@$(RUN) experiments.verify $(OPTIONS)

benchmark: $(INSTALLED)  ## Time both ways side by side (5 to 15 minutes, on an idle machine)
	@$(RUN) experiments.benchmark $(OPTIONS)

test: $(INSTALLED)  ## Run the tests (the quick ones: PYTEST="-m 'not slow'")
	@$(RUN) pytest --numprocesses=auto --maxprocesses=4 $(PYTEST)

lint: $(INSTALLED)  ## Check the style of the code
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .

audit: $(INSTALLED)  ## Look the locked packages up among known vulnerabilities
	@$(PYTHON) -m venv $(VENV)-audit
	@$(VENV)-audit/bin/pip install -qq --disable-pip-version-check pip-audit
	@$(VENV)-audit/bin/pip-audit --requirement requirements.txt --require-hashes --disable-pip --strict

lock: $(INSTALLED)  ## Write requirements.txt anew from pyproject.toml
	@$(RUN) pip install --quiet uv
	@$(VENV)/bin/uv pip compile pyproject.toml --quiet --extra test --extra dask --universal \
	    --python-version 3.11 --generate-hashes --upgrade \
	    --custom-compile-command "make lock" --output-file requirements.txt

clean:  ## Remove the virtual environment
	@rm -rf $(VENV) $(VENV)-audit

$(INSTALLED): requirements.txt
	@$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit("Python 3.11, 3.12 or 3.13 is needed, this is " + sys.version.split()[0] + "; say which: make PYTHON=python3.12")'
	@echo "Installing into $(VENV) (once, about a minute) …" >&2
	@$(PYTHON) -m venv --clear $(VENV)
	@$(RUN) pip install -qq --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@
