resource "terraform_data" "first" {
  input = "v1"
}
