"""Policy decision on a plan of 500 changes with 12 rules or more: CPU of this process and of the worker, together.

    python benchmarks/policy_decision.py [ROUNDS]

Asks the baseline pack (in 8 packages) through the port, a warm worker, as a gate does. The target is 30 ms of CPU a
decision. Beside it stands what a worker can't save: parsing the input and evaluating it, without a process; and the
same on a plan that is redacted first: real values may cost no more than that, with what is done to show what was said
of them.
"""

import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import regorus

from setpoint.adapters.policy.engine import RegorusEngine
from setpoint.adapters.policy.loading import answers_for, load
from setpoint.domain.judged import JudgedChange
from setpoint.domain.policies import PolicyModules, PolicyResult
from setpoint.domain.policy_input import Question, policy_input
from setpoint.domain.scrubbing import Scrubber
from setpoint.targets.environment.plan.analysis import analyse_plan
from setpoint.targets.environment.plan.judged_plan import INPUTS, judged_plan

CHANGES = 500
OWN = {"Environment": INPUTS}
LIMIT_MS = 30.0
LIMIT_RATIO = 1.0
SENSITIVE = {"arn": True, "tags": {"Name": True}}
PACK = Path(__file__).parents[1] / "policies" / "baseline"
TYPES = (
    "aws_s3_bucket",
    "aws_instance",
    "aws_db_instance",
    "aws_security_group",
    "aws_iam_policy",
    "aws_ebs_volume",
    "aws_lambda_function",
    "aws_subnet",
    "google_compute_firewall",
    "azurerm_storage_account",
)
ACTIONS = (["create"], ["update"], ["delete"], ["delete", "create"])


def make_attributes(kind: str, number: int, chance: random.Random) -> dict[str, Any]:
    """Attributes of one resource, about 500 bytes of them, as providers write them."""
    tags = {"owner": f"team-{number % 17}", "cost-center": f"cc-{number % 9}", "Name": f"res-{number}"}
    if chance.random() < 0.03:
        del tags["owner"]
    cidr = "0.0.0.0/0" if chance.random() < 0.02 else "10.0.0.0/8"
    ingress = [{"from_port": p, "to_port": p, "protocol": "tcp", "cidr_blocks": [cidr]} for p in (22, 443, 5432, 8080)]
    return {
        "id": f"id-{number:05d}",
        "arn": f"arn:aws:svc:eu-west-1:123456789012:{kind}/{number}",
        "tags": tags,
        "tags_all": {**tags, "managed_by": "terraform"},
        "region": "eu-west-1",
        "timeouts": None,
        "acl": "public-read" if chance.random() < 0.02 else "private",
        "publicly_accessible": chance.random() < 0.02,
        "ingress": ingress if kind == "aws_security_group" else None,
        "source_ranges": [cidr],
        "allow": [{"protocol": "tcp", "ports": ["22", "8000-8100"]}],
    }


def make_document() -> dict[str, Any]:
    """A plan of 500 changes, none of them a no-op."""
    chance = random.Random(7)
    changes = []
    for number in range(CHANGES):
        kind = TYPES[number % len(TYPES)]
        (actions,) = chance.choices(ACTIONS, [50, 40, 6, 4])
        before = None if actions == ["create"] else make_attributes(kind, number, chance)
        after = None if actions == ["delete"] else make_attributes(kind, number, chance)
        change = {"actions": actions, "before": before, "after": after, "after_unknown": {"id": before is None}}
        change |= {"before_sensitive": SENSITIVE, "after_sensitive": SENSITIVE}
        provider = f"registry.terraform.io/hashicorp/{kind.split('_')[0]}"
        changes.append(
            {
                "address": f"module.stack_{number % 12}.{kind}.r{number}",
                "mode": "managed",
                "type": kind,
                "name": f"r{number}",
                "provider_name": provider,
                "change": change,
            }
        )
    return {"format_version": "1.2", "resource_changes": changes}


def hide(value: Any, mask: Any) -> Any:
    """The value with a mask in place of what is sensitive."""
    if mask is True:
        return "(sensitive)"
    if isinstance(value, dict) and isinstance(mask, dict):
        return {key: hide(item, mask.get(key)) for key, item in value.items()}
    return value


def redact(document: dict[str, Any], hidden: Scrubber) -> dict[str, Any]:
    """The same plan without what is sensitive: masks, and every text that a mask covers taken out of all values."""
    changes = []
    for item in document["resource_changes"]:
        change = item["change"]
        sides = {side: hide(change[side], change[f"{side}_sensitive"]) for side in ("before", "after")}
        kept = {key: change[key] for key in ("actions", "after_unknown")}
        changes.append({**item, "change": {**kept, **sides}})
    scrubbed = hidden.scrub_values(changes)
    return {"resource_changes": scrubbed, "resource_drift": [], "output_changes": {}, "providers": []}


def as_input(plan: Mapping[str, Any], changes: Sequence[JudgedChange]) -> dict[str, Any]:
    """The input that a gate passes on."""
    question = Question(
        target={"kind": "Environment"}, cause="SpecChanged", stage="plan", now="2026-01-01T00:00:00Z", changes=changes
    )
    return policy_input(question, gate="g", document=plan, alias="plan")


def worker_cpu(pid: int) -> float:
    """Seconds of CPU that the worker used, to the nanosecond."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def measure_bare(modules: PolicyModules, text: str, rounds: int) -> float:
    """Median milliseconds of CPU of regorus alone, in this process: text in, text out."""
    engine: regorus.Engine = load(modules.modules, modules.params, OWN).engine
    samples = []
    for _ in range(rounds):
        start = time.process_time()
        engine.set_input_json(text)
        engine.eval_rule_as_json(answers_for("Environment"))
        samples.append(time.process_time() - start)
    return statistics.median(samples) * 1000


async def measure(rounds: int) -> bool:
    """Prints the figures; True where the targets are met."""
    texts = {path.name: path.read_text() for path in PACK.glob("*.rego") if not path.name.endswith("_test.rego")}
    modules, document = PolicyModules.of(texts), make_document()
    analysis = analyse_plan(document, commit=lambda data: data.hex())
    hidden, changes = analysis.hidden, analysis.judged
    engine = RegorusEngine(OWN)

    async def on_real_values() -> PolicyResult:
        judged = judged_plan(document, hidden)
        answer = await engine.evaluate(modules, as_input(judged.document, changes), timeout=10, memory_mib=512)
        return judged.disclosure.show(answer, texts.values())

    async def on_redacted_ones() -> PolicyResult:
        return await engine.evaluate(modules, as_input(redact(document, hidden), changes), timeout=10, memory_mib=512)

    async def cpu_of(ask: Callable[[], Awaitable[PolicyResult]]) -> tuple[float, float]:
        own_start, other_start = time.process_time(), worker_cpu(pid)
        await ask()
        return (time.process_time() - own_start) * 1000, (worker_cpu(pid) - other_start) * 1000

    for _ in range(3):
        result = await on_real_values()
    pid = engine._idle[0].process.pid
    real, redacted = [], []
    for _ in range(rounds):
        real.append(await cpu_of(on_real_values))
        redacted.append(await cpu_of(on_redacted_ones))
    await engine.aclose()
    own, other = (statistics.median(side) for side in zip(*real, strict=True))
    total, beside = (statistics.median(map(sum, samples)) for samples in (real, redacted))
    text = json.dumps(as_input(judged_plan(document, hidden).document, changes))
    print(
        f"input {len(text) // 1024} KiB, {CHANGES} changes, {len(result.violations)} violations, error {result.error!r}"
    )
    print(f"operator {own:.1f} ms  worker {other:.1f} ms  together {total:.1f} ms")
    bare = measure_bare(modules, text, rounds)
    print(f"regorus alone {bare:.1f} ms  ratio {total / bare:.2f}  target {LIMIT_MS:.0f} ms")
    print(f"on redacted values {beside:.1f} ms  ratio {total / beside:.2f}  target {LIMIT_RATIO}")
    return not result.error and total <= LIMIT_MS and total <= LIMIT_RATIO * beside


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 30)) else 1)
