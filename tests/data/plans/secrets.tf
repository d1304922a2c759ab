variable "token" {
  type      = string
  sensitive = true
}

resource "terraform_data" "masked" {
  input = { user = "db", keys = [var.token, "public"], all = { (var.token) = 1 } }
}

resource "terraform_data" "newly_masked" {
  input = var.token
}

resource "terraform_data" "leaked" {
  input = "prefix-${nonsensitive(var.token)}"
}

output "pair" {
  value     = [var.token]
  sensitive = true
}
