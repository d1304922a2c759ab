package setpoint.baseline.lib_test

import data.setpoint.baseline.lib

plan(changes) := {"plan": {"resource_changes": changes}}

rc(actions) := {"address": "t.a", "mode": "managed", "change": {"actions": actions, "before": null, "after": null}}

test_a_delete_is_destroyed_and_not_written if {
	count(lib.destroyed) == 1 with input as plan([rc(["delete"])])
	count(lib.written) == 0 with input as plan([rc(["delete"])])
}

test_a_create_is_written_and_not_destroyed if {
	created := {"address": "t.a", "change": {"actions": ["create"], "before": null, "after": {}}}
	count(lib.written) == 1 with input as plan([created])
	count(lib.destroyed) == 0 with input as plan([created])
}

test_no_op_and_read_are_no_changes if {
	count(lib.changes) == 0 with input as plan([rc(["no-op"]), rc(["read"])])
}

test_data_sources_are_no_changes if {
	count(lib.changes) == 0 with input as plan([object.union(rc(["update"]), {"mode": "data"})])
}

test_missing_plan_has_no_changes if count(lib.changes) == 0 with input as {}

test_forget_is_a_change_and_no_destroy if {
	count(lib.changes) == 1 with input as plan([rc(["forget"])])
	count(lib.destroyed) == 0 with input as plan([rc(["forget"])])
}

test_both_orders_of_a_replace if {
	lib.verb(rc(["delete", "create"])) == "replaced"
	lib.verb(rc(["create", "delete"])) == "replaced"
	lib.verb(rc(["delete"])) == "deleted"
}

test_labels_come_from_all_names if {
	lib.labels({"tags": null, "tags_all": {"a": "1"}, "labels": {"b": "2"}}) == {"a": "1", "b": "2"}
}

test_list_takes_what_is_null_single_or_many if {
	lib.list({"a": null}, "a") == []
	lib.list({}, "a") == []
	lib.list({"a": "x"}, "a") == ["x"]
	lib.list({"a": ["x"]}, "a") == ["x"]
}

test_number_reads_text_and_falls_back if {
	lib.number({"p": "22"}, "p", 0) == 22
	lib.number({"p": 22}, "p", 0) == 22
	lib.number({"p": null}, "p", 7) == 7
	lib.number({}, "p", 7) == 7
	lib.number({"p": "ssh"}, "p", 7) == 7
}

test_unknown_is_the_value_a_part_of_it_or_what_it_is_part_of if {
	rc := {"change": {"after_unknown": {"id": true, "rule": [{"port": false}, {"cidrs": [false, true]}]}}}
	lib.unknown(rc, ["id"])
	lib.unknown(rc, ["rule"])
	lib.unknown(rc, ["rule", 1, "cidrs"])
	lib.unknown(rc, ["rule", 1, "cidrs", 1, "x"])
	not lib.unknown(rc, ["rule", 0])
	not lib.unknown(rc, ["rule", 1, "cidrs", 0])
	not lib.unknown(rc, ["name"])
}

test_everything_may_be_unknown if {
	lib.unknown({"change": {"after_unknown": true}}, ["id"])
	not lib.unknown({"change": {}}, ["id"])
}

test_drift_is_present_and_not_written if {
	drift := {"address": "t.a", "mode": "managed", "change": {"actions": ["update"], "before": {}, "after": {}}}
	gone := {"address": "t.b", "mode": "managed", "change": {"actions": ["delete"], "before": {}, "after": null}}
	given := {"plan": {"resource_changes": [], "resource_drift": [drift, gone]}}
	lib.present == [drift] with input as given
	lib.written == [] with input as given
}

test_marks_stand_beside_an_entry if {
	marks := lib.marks({"change": {"after_unknown": {"id": true, "rule": [{}, {"cidrs": [false, true]}, true]}}})
	lib.hidden(marks, {"id"})
	not lib.hidden(marks, {"name", "other"})
	not lib.hidden(lib.marks_at(marks, "rule", 0), {"cidrs"})
	lib.hidden(lib.marks_at(marks, "rule", 1), {"cidrs"})
	lib.hidden(lib.marks_at(marks, "rule", 2), {"cidrs"})
	not lib.hidden(lib.marks_at(marks, "other", 0), {"cidrs"})
	lib.hidden(lib.marks_at({"rule": true}, "rule", 0), {"cidrs"})
	lib.hidden(lib.marks({"change": {"after_unknown": true}}), {"id"})
	not lib.hidden(lib.marks({"change": {}}), {"id"})
}

test_only_what_the_code_is_known_to_leave_out_is_unset if {
	lib.unset({"configured": ["name"]}, "policy")
	not lib.unset({"configured": ["policy"]}, "policy")
	not lib.unset({}, "policy")
}
