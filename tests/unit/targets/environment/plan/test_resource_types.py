"""Knowledge of types: by the Environment, by the table, by the words in a name."""

import dataclasses
import itertools
import re
from importlib import resources

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from setpoint.domain.errors import InvalidError
from setpoint.targets.environment.plan.resource_types import class_by_words, read_table, resource_type
from setpoint.targets.environment.reset_plans import known_types

TABLE = known_types()
DATA = """
    aws_db_instance aws_s3_bucket aws_ebs_volume aws_dynamodb_table aws_elasticache_replication_group aws_kms_key
    aws_sqs_queue aws_secretsmanager_secret aws_cloudwatch_log_group aws_instance aws_cognito_user_pool
    azurerm_storage_account azurerm_mssql_database azurerm_key_vault azurerm_linux_virtual_machine
    google_compute_instance
    google_sql_database_instance google_compute_disk google_bigquery_dataset google_container_cluster helm_release
    kubectl_manifest kubernetes_persistent_volume_claim kubernetes_stateful_set kubernetes_namespace postgresql_database
    postgresql_schema gitea_repository
"""
IDENTITY = """
    aws_iam_access_key aws_acm_certificate aws_cognito_user_pool_client aws_eip aws_key_pair aws_lb
    azurerm_user_assigned_identity google_service_account_key kubernetes_service_account gitea_token random_password
    tls_private_key
"""
SETTINGS = """
    postgresql_role postgresql_grant aws_db_subnet_group aws_s3_bucket_versioning aws_s3_bucket_policy aws_route_table
    aws_volume_attachment aws_security_group_rule aws_iam_role azurerm_storage_management_policy
    google_storage_bucket_acl
    kubernetes_config_map kubernetes_deployment gitea_team
"""
WORDS = {
    "Data": "x_bucket x_sql_database x_volumes x_managed_file_system x_log_store mongodbatlas_cluster y_server_group",
    "Identity": "x_access_key y_certificate z_api_token",
    "Settings": "local_file null_resource terraform_data dbus_thing postgresql_thing sql vault vault_policy "
    "bucket_owner x_bucket_policy x_db_subnet_group x_database_role x_queue_configuration",
}
KIND_OF_WORD = [
    *((type_, "Data") for type_ in WORDS["Data"].split()),
    *((type_, "Identity") for type_ in WORDS["Identity"].split()),
    *((type_, "Settings") for type_ in WORDS["Settings"].split()),
]


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        *((type_, "Data") for type_ in DATA.split()),
        *((type_, "Identity") for type_ in IDENTITY.split()),
        *((type_, "Settings") for type_ in SETTINGS.split()),
    ],
)
def test_the_table_holds_what_people_use(type_: str, expected: str) -> None:
    assert TABLE.classes[type_] == expected
    assert TABLE.judge(type_).resource_class == expected


@pytest.mark.parametrize(("type_", "expected"), KIND_OF_WORD)
def test_the_words_are_for_what_the_table_does_not_hold(type_: str, expected: str) -> None:
    assert type_ not in TABLE.classes
    assert TABLE.judge(type_).resource_class == expected


def test_the_table_is_large_and_each_type_is_well_formed() -> None:
    assert len(TABLE.classes) > 1000
    assert not [type_ for type_ in TABLE.classes if not re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)+", type_)]
    paths = set(
        itertools.chain.from_iterable((*expiry.senses, expiry.owner or "a") for expiry in TABLE.expiries.values())
    )
    assert not [path for path in paths if not re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)*", path)]


def test_each_provider_stands_with_its_documentation_and_its_own_types_in_order() -> None:
    text = resources.files("setpoint").joinpath("resource_types.yaml").read_text(encoding="utf-8")
    parts = yaml.safe_load(text)
    assert len(re.findall(r"^- provider: .+\n  # https://\S+$", text, re.MULTILINE)) == len(parts)
    for part in parts:
        types = [part.get(kind, []) for kind in ("Data", "Identity", "Settings")]
        assert all(sorted(listed) == listed for listed in types), part["provider"]
        assert len({type_.split("_")[0] for type_ in itertools.chain.from_iterable(types)}) == 1, part["provider"]


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ([{"Data": ["a_b"]}, {"Settings": ["a_b"]}], "a_b"),
        ([{"Data": ["a_b", "a_b"]}], "a_b"),
        ([{"Data": ["a_b"], "expires": {"a_c": {"x": "shorter"}}}], "a_c"),
        ([{"Data": ["a_b"], "expires": {"a_b": {"x": "longer"}}}], "a_b"),
        ([{"Data": ["a_b"], "expires": {"a_b": {"of": "x"}}}], "a_b"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused_by_type(document: object, named: str) -> None:
    with pytest.raises(InvalidError) as refused:
        read_table(document)
    assert refused.value.field == named


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({}, ("Data", "")),
        ({"aws_s3_bucket": "Settings"}, ("Settings", "aws_s3_bucket: Settings")),
        ({"aws_*": "Settings", "aws_s3_*": "Identity"}, ("Identity", "aws_s3_*: Identity")),
        ({"aws_s3_*": "Identity", "aws_*": "Settings"}, ("Identity", "aws_s3_*: Identity")),
        ({"aws_s3_bucket": "Settings", "aws_s3_bucket*": "Data"}, ("Settings", "aws_s3_bucket: Settings")),
        ({"*_bucket": "Settings", "aws_s3_*": "Identity"}, ("Identity", "aws_s3_*: Identity")),
        ({"google_*": "Settings"}, ("Data", "")),
    ],
)
def test_the_environment_tightens_and_loosens_by_the_closest_pattern(
    words: dict[str, str], expected: tuple[str, str]
) -> None:
    judged = dataclasses.replace(TABLE, words=words).judge("aws_s3_bucket")
    assert (judged.resource_class, judged.by) == expected


NEUTRAL = st.from_regex(r"[a-z]{1,8}", fullmatch=True)
HOLDS = st.sampled_from(["bucket", "database", "queues", "volume", "secret", "instance"])


@given(prefix=NEUTRAL, before=st.lists(NEUTRAL, max_size=2), word=HOLDS)
def test_an_unknown_type_whose_words_say_data_is_never_undoable(prefix: str, before: list[str], word: str) -> None:
    type_ = "_".join((prefix, *before, word))
    if type_ not in TABLE.classes:
        assert TABLE.judge(type_).resource_class == "Data"


@given(prefix=HOLDS, rest=st.lists(NEUTRAL, max_size=3))
def test_a_providers_own_prefix_says_nothing(prefix: str, rest: list[str]) -> None:
    assert class_by_words("_".join((prefix, *rest))) == class_by_words("_".join(("x", *rest)))


@given(type_=st.text(max_size=60))
def test_any_text_has_a_class(type_: str) -> None:
    assert TABLE.judge(type_).resource_class in {"Data", "Identity", "Settings"}


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("aws_db_instance.main", "aws_db_instance"),
        ("aws_db_instance.main[0]", "aws_db_instance"),
        ('module.db["a.b"].aws_db_instance.main["x.y"]', "aws_db_instance"),
        (r'module.a["q\"].b"].module.c[1].local_file.f', "local_file"),
        ("data.aws_ami.x", "aws_ami"),
        ("module.m.data.aws_ami.x", "aws_ami"),
        ("module.x", "module"),
        ("module.module.aws_s3_bucket.b", "aws_s3_bucket"),
        ("", ""),
    ],
)
def test_type_of_an_address(address: str, expected: str) -> None:
    assert resource_type(address) == expected
