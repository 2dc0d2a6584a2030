# sonar-dropout. `make` alone lists the first targets, `make help` all.
# Options are make variables: make baseline REPEATS=5 SEED=1 (see make help).

PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/installed
RUN := $(VENV)/bin/python -m
SETTINGS := $(or $(realpath $(VENV)/bin/python),$(PYTHON)) -I experiments/harness/settings.py

SCRIPTS := baseline visible hidden control stopping remedies tips evaluation tune predict \
           compare figures report validate verify benchmark
FIRST := baseline visible hidden compare tune
.DEFAULT_GOAL := start
.PHONY: start help $(SCRIPTS) all test audit lint lock clean check

# Variables on make's command line reach a program exactly as typed. Neither make nor a shell
# expands them: they are exported in one variable, which experiments/harness/settings.py reads.
.given := $(foreach .name,$(.VARIABLES),$(if $(filter command,$(origin $(.name))),$(.name)))
.space := $(subst ,, )
define .newline


endef
.encode = $(subst $(.newline),%0A,$(subst $(.space),%20,$(subst %,%25,$1)))
unexport $(.given)
override export SONAR_DROPOUT_MAKE := $(or $(MAKECMDGOALS),start) \
    $(foreach .name,$(.given),$(.name)=$(call .encode,$(value $(.name))))

start help $(SCRIPTS) all test audit lint lock clean: check
check:  # refuses variables that no target takes, before anything else is made
	@$(SETTINGS)

LIST = @awk -F ':.*\#\# ' '/^($(1)):.*\#\# / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
start:
	$(call LIST,$(subst $(.space),|,$(FIRST)))
	@echo "  more:      make help lists all targets and their options"

help:  ## List all targets and their options
	$(call LIST,[a-z]+)
	@$(SETTINGS) help

baseline:  ## Cross-validate the network without dropout
visible:  ## Cross-validate 20% dropout on the inputs
hidden:  ## Cross-validate 20% dropout after each hidden layer
control:  ## Cross-validate the dropout arms' settings without dropout
stopping:  ## Train the baseline with early stopping
remedies:  ## Train the hidden arm longer and at other learning rates
tips:  ## Put the tutorial's five tips to the test (half an hour; resumes an interrupted run)
evaluation:  ## Show what dropout does in training and at evaluation
tune:  ## Tune dropout on a table: make tune DATA=mine.csv
predict:  ## Predict a table's rows: make predict MODEL=results/tuned.keras DATA=new.csv
compare:  ## Compare the arms, with intervals (runs those without results)
figures:  ## Draw the tables into results/figures/
report:  ## Write results/README.md from the tables
validate:  ## Compare the stacked engine with scikit-learn's (10 to 30 minutes)
verify:  ## Re-run the experiments and compare the results (an hour or more; ONLY=baseline,tune)
benchmark:  ## Time engines and searches side by side (about an hour, on an idle machine)

MODULE = $@
evaluation: MODULE = dropout_modes
validate: MODULE = engine_check
$(SCRIPTS): $(INSTALLED)
	@$(RUN) experiments.$(MODULE) --from-make

# Each step of `make all`: targets and options. The arms and what is compared with them have 60
# repeats and 7 seeds unless told otherwise; the remedies, which are near the margin, 10 seeds.
STUDY = $(if $(filter REPEATS,$(.given)),,REPEATS=60) \
        $(if $(filter SEEDS,$(.given)),,SEEDS=$(or $(1),7))
STEP = +@echo "step $(1) of 9: $(strip $(2))" >&2; $(MAKE) --no-print-directory --old-file=check $(2)
all: $(INSTALLED)  ## All results but those of validate and benchmark, anew (over an hour)
	$(call STEP,1,baseline visible hidden control CURVES=1 $(STUDY))
	$(call STEP,2,stopping $(STUDY))
	$(call STEP,3,remedies $(call STUDY,10))
	$(call STEP,4,tips)
	$(call STEP,5,evaluation)
	$(call STEP,6,tune)
	$(call STEP,7,compare $(STUDY))
	$(call STEP,8,figures)
	$(call STEP,9,report)

test: $(INSTALLED)  ## Run the tests (the quick ones: PYTEST="-m 'not slow'")
	@$(RUN) pytest --numprocesses=auto --maxprocesses=4 $(PYTEST)

lint: $(INSTALLED)  ## Check style, spelling and that the lock fits pyproject.toml
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) codespell_lib .
	@$(RUN) pip --isolated install --dry-run --quiet --no-index --no-build-isolation \
	    --disable-pip-version-check '.[study,excel,dask,test]'

AUDIT = PATH="$$PATH:$(VENV)-audit/bin" pip-audit
FAILED = { echo "make audit: $(1); what failed is in $(VENV)-audit/log" >&2; exit 2; }
audit:  ## Look the locked packages up among known vulnerabilities (needs the network)
	@mkdir -p $(VENV)-audit
	@$(AUDIT) --version >$(VENV)-audit/log 2>&1 || { \
	    $(PYTHON) -m venv $(VENV)-audit && \
	    $(VENV)-audit/bin/pip install -qq --disable-pip-version-check --retries 1 pip-audit; \
	} >$(VENV)-audit/log 2>&1 || $(call FAILED,needs pip-audit or a package index to install it from)
	@$(AUDIT) --requirement requirements.txt --require-hashes --disable-pip --strict \
	    --progress-spinner off >$(VENV)-audit/found 2>$(VENV)-audit/log || \
	    { test -s $(VENV)-audit/found && cat $(VENV)-audit/found >&2 && exit 1; } || \
	    $(call FAILED,needs the network to look packages up)
	@cat $(VENV)-audit/log

lock: $(INSTALLED)  ## Write requirements.txt anew from pyproject.toml
	@$(RUN) pip install --quiet uv
	@$(VENV)/bin/uv pip compile pyproject.toml --quiet --all-extras --universal \
	    --python-version 3.11 --generate-hashes --upgrade \
	    --custom-compile-command "make lock" --output-file requirements.txt

clean:  ## Remove the virtual environment
	@rm -rf $(VENV) $(VENV)-audit

$(INSTALLED): requirements.txt | check
	@$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit("Python 3.11, 3.12 or 3.13 is needed, this is " + sys.version.split()[0] + "; say which: make PYTHON=python3.12")'
	@echo "Installing into $(VENV) (once, about a minute) …" >&2
	@$(PYTHON) -m venv --clear $(VENV)
	@{ $(RUN) pip install --disable-pip-version-check --progress-bar off --require-hashes \
	    -r requirements.txt 2>$(VENV)/log && touch $@; } | \
	    awk '{ printf "." >"/dev/stderr" } END { print "" >"/dev/stderr" }'
	@test -e $@ || { cat $(VENV)/log >&2; exit 1; }
