package setpoint.baseline.plan_test

import data.setpoint.baseline.plan

test_missing_input_is_denied if count(plan.deny) == 1 with input as {}

test_null_plan_is_denied if count(plan.deny) == 1 with input as {"plan": {"resource_changes": null}}

test_a_plan_is_not_denied if count(plan.deny) == 0 with input as {"plan": {"resource_changes": []}}
