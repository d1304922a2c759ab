resource "terraform_data" "plain" {
  input = "as it was"
}

output "shown" {
  value = { name = terraform_data.plain.output, note = "before" }
}
