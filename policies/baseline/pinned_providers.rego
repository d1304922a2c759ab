# METADATA
# title: Providers are pinned to versions with an upper bound
# description: >-
#   A new release of a provider must not change a plan by itself. Looks at the constraints of required_providers.
#   Parameter: unpinned_providers, the providers that need none, by source such as hashicorp/null.
# custom:
#   severity: medium
#   kinds: [Environment]
#   remediation: Give the provider a version such as "~> 5.40" in required_providers.
package setpoint.baseline.pinned_providers

import data.setpoint.baseline.lib

built_in := {"terraform.io/builtin/terraform"}

exempt := {source | some source in lib.array(lib.param("unpinned_providers", []))}

# Aliases and modules repeat a provider.
configured := lib.array(object.get(input, ["plan", "providers"], null))

constraints[source] contains constraint if {
	some entry in configured
	source := object.get(entry, "full_name", "")
	constraint := object.get(entry, "version_constraint", "")
}

sources contains source if {
	some rc in lib.changes
	source := object.get(rc, "provider_name", "")
}

sources contains source if some source, _ in constraints

checked contains source if {
	some source in sources
	not source in built_in
	not source in {""}
	not exempted(source)
}

exempted(source) if {
	some name in exempt
	endswith(source, sprintf("/%s", [name]))
}

# `~>`, `=`, `<` and a bare version bound it from above; `>=`, `>` and `!=` do not.
is_bounded(constraint) if {
	some part in split(constraint, ",")
	regex.match(`^\s*(~>|=|<=?)?\s*v?[0-9]`, part)
}

is_pinned(source) if {
	some constraint in object.get(constraints, source, set())
	is_bounded(constraint)
}

deny contains {"rule": "unpinned-provider", "resource": source, "msg": msg} if {
	some source in checked
	not is_pinned(source)
	msg := "its version has no upper bound"
}
