"""The inputs of a run: each Secret where it belongs and nowhere else."""

import pytest
from tests.fakes.cluster import InMemoryCluster
from tests.fakes.examples import example

from setpoint.api.v1alpha1.environment import Environment
from setpoint.domain.errors import StalledError
from setpoint.targets.environment.ports import RunInputs
from setpoint.targets.environment.run_inputs import gather_inputs
from setpoint.targets.environment.secrets import SecretReader

SECRETS = {"vars": {"password": "hunter2"}, "read": {"KEY": "read"}, "write": {"KEY": "write"}}


@pytest.fixture
async def reader(cluster: InMemoryCluster) -> SecretReader:
    for name, values in SECRETS.items():
        metadata = {"name": name, "namespace": "default"}
        await cluster.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values})
    return SecretReader(cluster, "default")


async def gather(reader: SecretReader, **spec: object) -> RunInputs:
    typed = Environment.model_validate(example("Environment", **{"credentials": {}, **spec})).spec
    return await gather_inputs(typed, {"given": 1}, reader, has_state=True, recorded=False)


def refer(*names: str) -> list[dict]:
    return [{"secretRef": {"name": name}} for name in names]


@pytest.mark.parametrize(
    ("credentials", "plan", "apply"),
    [
        pytest.param({}, {}, {}, id="none"),
        pytest.param({"plan": refer("read")}, SECRETS["read"], SECRETS["read"], id="the plan's serve the apply"),
        pytest.param(
            {"plan": refer("read"), "apply": refer("write")}, SECRETS["read"], SECRETS["write"], id="one of each"
        ),
        pytest.param({"plan": refer("read"), "apply": []}, SECRETS["read"], {}, id="none for the apply"),
        pytest.param({"apply": refer("write")}, {}, SECRETS["write"], id="none for the plan"),
    ],
)
async def test_credentials(reader: SecretReader, credentials: dict, plan: dict, apply: dict) -> None:
    inputs = await gather(reader, credentials=credentials)
    assert (inputs.plan_environment, inputs.apply_environment) == (plan, apply)
    assert inputs.secret_variables == {}


async def test_what_the_spec_says_is_passed_on(reader: SecretReader) -> None:
    inputs = await gather(
        reader,
        variablesFrom=refer("vars"),
        engine={"type": "opentofu", "version": "~> 1.10", "lockFile": "Generate"},
        timeouts={"init": "1s", "plan": "2s", "apply": "3s"},
    )
    assert inputs == RunInputs(
        engine_type="opentofu",
        engine_version="~> 1.10",
        lock_file="Generate",
        variables={"given": 1},
        secret_variables=SECRETS["vars"],
        plan_environment={},
        apply_environment={},
        has_state=True,
        recorded=False,
        init_timeout=1.0,
        plan_timeout=2.0,
        apply_timeout=3.0,
    )
    assert "hunter2" not in repr(inputs)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        pytest.param({"variablesFrom": refer("vars", "gone")}, "spec.variablesFrom[1].secretRef", id="variables"),
        pytest.param({"credentials": {"plan": refer("gone")}}, "spec.credentials.plan[0].secretRef", id="plan"),
        pytest.param({"credentials": {"apply": refer("gone")}}, "spec.credentials.apply[0].secretRef", id="apply"),
    ],
)
async def test_a_missing_secret_names_the_field(reader: SecretReader, spec: dict, field: str) -> None:
    with pytest.raises(StalledError) as caught:
        await gather(reader, **spec)
    assert caught.value.message.startswith(f"{field}: ")


async def test_keys_that_their_secrets_name_plain_are_no_secrets(
    reader: SecretReader, cluster: InMemoryCluster
) -> None:
    values = {"DB_LOGIN": "x7Kq2mZp", "PGHOST": "db.example.com", "PGPASSWORD": "hunter22"}
    for name, plain in (("plain", "DB_LOGIN"), ("other", "PGPASSWORD")):
        metadata = {"name": name, "namespace": "default", "annotations": {"setpoint.dev/plain": plain}}
        await cluster.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values})
    credentials = {"plan": refer("plain"), "apply": refer("other")}
    inputs = await gather(reader, credentials={"plan": refer("plain")})
    assert (inputs.credential_secrets, inputs.variable_secrets) == ({"hunter22"}, set())
    inputs = await gather(reader, credentials=credentials, variablesFrom=refer("plain"))
    assert inputs.credential_secrets == {"hunter22", "x7Kq2mZp"}, "plain in both, or a secret"
    assert inputs.variable_secrets == {"hunter22", "db.example.com"}, "every variable is a secret but for what is plain"
    assert inputs.secret_variables == values
