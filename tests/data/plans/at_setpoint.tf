resource "terraform_data" "plain" {
  input = "as it was"
}
