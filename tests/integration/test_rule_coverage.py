"""Every branch of ticket states, clocks and triage rules is taken by a test, or this fails and names the line.

Their unit tests and the stories of storms run once more under coverage in a process of their own; what is measured is listed here and nowhere else.
"""

import os
import subprocess
import sys

import pytest

from tests.conftest import PROJECT

STATES = ("ticket_states", "verification")
CLOCKS = ("business_time", "sla", "escalation")
RULES = ("conditions", "cause_tracks", "forecast_causes", "silence", "raising")
TRIAGE = ("triage", "ticket_opening", "incidents", "campaigns")
TESTS = (
    "conditions_whole", "rules_exact", "rules_rare", "rules_whole", "sla", "signals", "triage", "triage_forecasts",
    "escalation", "verification", "servicedesk", "customer_answers",
)  # fmt: skip

STORIES = "tests/scenarios/test_service_desk_stories.py"


@pytest.mark.heavy
def test_every_branch_is_taken(tmp_path):
    data = f"--data-file={tmp_path}/coverage"
    modules = ",".join(f"crm_core/{name}.py" for name in (*STATES, *CLOCKS, *RULES, *TRIAGE))
    tests = [STORIES, *(f"tests/unit/crm_core/test_{name}.py" for name in TESTS)]
    quiet = ["-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:xdist"]
    ran = coverage("run", data, "--branch", f"--include={modules}", "-m", "pytest", *quiet, *tests)
    assert ran.returncode == 0, ran.stdout[-4000:]
    report = coverage("report", data, "--show-missing", "--skip-covered", "--fail-under=100")
    assert report.returncode == 0, report.stdout


def coverage(*words: str) -> subprocess.CompletedProcess[str]:
    """Run one command of coverage; it must not find the run that this test is part of."""
    without = {
        name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE", "PYTEST_"))
    }
    without |= {"HYPOTHESIS_PROFILE": "mutation"}
    return subprocess.run(
        [sys.executable, "-m", "coverage", *words],
        cwd=PROJECT, env=without, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
