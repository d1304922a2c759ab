resource "terraform_data" "now" {
  input            = timestamp()
  triggers_replace = uuid()
}

output "now" {
  value = { at = timestamp() }
}
