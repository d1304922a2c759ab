resource "terraform_data" "first" {
  input = "v2"
}

resource "terraform_data" "second" {
  input = "v1"

  lifecycle {
    precondition {
      condition     = terraform_data.first.input == "v1"
      error_message = "not yet"
    }
  }
}
